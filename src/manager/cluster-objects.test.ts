import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { NodeRole, NodeSpec_Availability, NodeSpec_Membership, RootCASchema } from '../api/index.js';
import { SimClock } from '../sim/index.js';
import { MemoryStore } from '../store/index.js';
import { ensureOwnNode, newCluster } from './cluster-objects.js';

const FACTS = {
  clusterId: 'c1',
  rootCa: create(RootCASchema, { caCertHash: 'hash' }),
  defaultAddressPool: ['10.20.0.0/16'],
  subnetSize: 26,
  dataPathPort: 7777,
  unlockKey: undefined,
};

const OWN = {
  nodeId: 'n1',
  certificatePem: 'certificate',
  availability: NodeSpec_Availability.DRAIN,
  raftId: 5n,
  addr: '10.0.0.1:2377',
};

describe('a new cluster', () => {
  it('has the settings of SwarmKit', () => {
    expect(newCluster(FACTS)).toMatchObject({
      id: 'c1',
      rootCa: { caCertHash: 'hash' },
      defaultAddressPool: ['10.20.0.0/16'],
      subnetSize: 26,
      VXLANUDPPort: 7777,
      unlockKeys: [],
      spec: {
        annotations: { name: 'default' },
        orchestration: { taskHistoryRetentionLimit: 5n },
        raft: {
          snapshotInterval: 10_000n,
          keepOldSnapshots: 0n,
          logEntriesForSlowFollowers: 500n,
          heartbeatTick: 1,
          electionTick: 10,
        },
        dispatcher: { heartbeatPeriod: { seconds: 5n } },
        caConfig: { nodeCertExpiry: { seconds: 90n * 86_400n } },
        encryptionConfig: { autoLockManagers: false },
      },
    });
  });

  it('is locked from the beginning with the key that it is given', () => {
    const unlockKey = new Uint8Array(32).fill(1);
    expect(newCluster({ ...FACTS, unlockKey })).toMatchObject({
      unlockKeys: [{ subsystem: 'swarm-manager', key: unlockKey }],
      spec: { encryptionConfig: { autoLockManagers: true } },
    });
  });
});

describe('the own node of a manager', () => {
  const setUp = () => {
    const store = new MemoryStore({}, { clock: new SimClock() });
    return { store, node: () => store.view((tx) => tx.get('node', 'n1')) };
  };

  it('is made in a new cluster: accepted, a manager, with its certificate', async () => {
    const { store, node } = setUp();
    await store.update((tx) => ensureOwnNode(tx, OWN));
    expect(node()).toMatchObject({
      role: NodeRole.MANAGER,
      spec: {
        desiredRole: NodeRole.MANAGER,
        membership: NodeSpec_Membership.ACCEPTED,
        availability: NodeSpec_Availability.DRAIN,
      },
      certificate: { cn: 'n1', role: NodeRole.MANAGER },
      managerStatus: { raftId: 5n, addr: '10.0.0.1:2377', leader: true },
    });
  });

  it('is not written again when nothing has changed', async () => {
    const { store, node } = setUp();
    await store.update((tx) => ensureOwnNode(tx, OWN));
    const before = node();
    await store.update((tx) => ensureOwnNode(tx, OWN));
    expect(node()).toBe(before);
  });

  it('keeps what users have set when its address changes', async () => {
    const { store, node } = setUp();
    await store.update((tx) => ensureOwnNode(tx, OWN));
    await store.update((tx) =>
      ensureOwnNode(tx, { ...OWN, addr: '10.0.0.2:2377', availability: NodeSpec_Availability.ACTIVE }),
    );
    expect(node()).toMatchObject({
      spec: { availability: NodeSpec_Availability.DRAIN },
      managerStatus: { addr: '10.0.0.2:2377', raftId: 5n },
    });
  });
});
