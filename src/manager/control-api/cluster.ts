import { create } from '@bufbuild/protobuf';

import {
  EncryptionKeySchema,
  JoinTokensSchema,
  RootCASchema,
  type Cluster,
  type ClusterSpec,
  type EncryptionKey,
  type KeyRotation,
  type RootCA,
  type Version,
} from '../../api/index.js';
import type { ReadTransaction } from '../../store/index.js';
import { unexpired } from './blacklist.js';
import { redactedCluster } from './cluster-view.js';
import { commit, written, type ControlContext, type Handlers } from './deps.js';
import { invalidArgument, notFound } from './errors.js';
import { commonChecks, commonChoices, firstChoice, passing } from './filters.js';
import { desiredRootCa } from './root-ca.js';
import { validateClusterSpec } from './validate-cluster.js';

/** Whom the key that locks managers belongs to. Source: SwarmKit. */
const MANAGER_SUBSYSTEM = 'swarm-manager';

/** Handlers for the cluster. Nothing but {@link redactedCluster} leaves here. */
export function clusterHandlers(control: ControlContext): Handlers<'getCluster' | 'listClusters' | 'updateCluster'> {
  return {
    getCluster: async ({ clusterId }) => {
      if (clusterId === '') throw invalidArgument();
      return { cluster: redactedCluster(control.store.view((tx) => requiredCluster(tx, clusterId))) };
    },
    listClusters: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) => tx.find('cluster', firstChoice(commonChoices(filters))));
      const checks = commonChecks(filters, (cluster: Cluster) => cluster.spec?.annotations);
      const clusters = await passing(control, signal, candidates, checks);
      return { clusters: clusters.map(redactedCluster) };
    },
    updateCluster: async ({ clusterId, clusterVersion, spec, rotation }, call) => {
      if (clusterId === '' || clusterVersion === undefined) throw invalidArgument();
      validateClusterSpec(spec);
      return commit(control, call, (tx) => {
        const old = requiredCluster(tx, clusterId);
        tx.update('cluster', updatedCluster(control, old, spec, clusterVersion, rotation));
        return { cluster: redactedCluster(written(tx, 'cluster', clusterId)) };
      });
    },
  };
}

function requiredCluster(tx: ReadTransaction, clusterId: string): Cluster {
  const cluster = tx.get('cluster', clusterId);
  if (cluster === undefined) throw notFound(`cluster ${clusterId} not found`);
  return cluster;
}

function updatedCluster(
  control: ControlContext,
  old: Cluster,
  spec: ClusterSpec,
  version: Version,
  rotation: KeyRotation | undefined,
): Cluster {
  if (old.meta === undefined) throw invalidArgument();
  const nowMs = control.clock.nowMs();
  const rootCa = withTokens(control, old, rotation);
  return {
    ...old,
    meta: { ...old.meta, version },
    spec,
    rootCa: desiredRootCa(spec.caConfig, rootCa, nowMs),
    unlockKeys: unlockKeys(control, old.unlockKeys, spec, rotation),
    blacklistedCertificates: unexpired(old.blacklistedCertificates, nowMs),
  };
}

/** The root CA with fresh join tokens where asked for. Old tokens are worth nothing from then on. */
function withTokens(control: ControlContext, cluster: Cluster, rotation: KeyRotation | undefined): RootCA {
  const rootCa = cluster.rootCa ?? create(RootCASchema);
  if (rotation?.workerJoinToken !== true && rotation?.managerJoinToken !== true) return rootCa;
  const present = rootCa.joinTokens ?? create(JoinTokensSchema);
  return {
    ...rootCa,
    joinTokens: {
      ...present,
      ...(rotation.workerJoinToken ? { worker: control.security.newJoinToken(cluster) } : {}),
      ...(rotation.managerJoinToken ? { manager: control.security.newJoinToken(cluster) } : {}),
    },
  };
}

/** Without autolock managers have no key; with it they have one, made anew where asked for. */
function unlockKeys(
  control: ControlContext,
  present: readonly EncryptionKey[],
  spec: ClusterSpec,
  rotation: KeyRotation | undefined,
): EncryptionKey[] {
  const others = present.filter(({ subsystem }) => subsystem !== MANAGER_SUBSYSTEM);
  if (spec.encryptionConfig?.autoLockManagers !== true) return others;
  const managerKey = present.find(({ subsystem }) => subsystem === MANAGER_SUBSYSTEM);
  if (managerKey !== undefined && rotation?.managerUnlockKey !== true) return [...present];
  const fresh = create(EncryptionKeySchema, {
    subsystem: MANAGER_SUBSYSTEM,
    key: control.security.newUnlockKey(),
  });
  return [...others, fresh];
}
