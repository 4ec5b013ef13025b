import { beforeEach, describe, expect, it } from 'vitest';

import { NodeRole, NodeSpec_Availability, NodeStatus_State, type Node } from '../api/index.js';
import { Code, isSwarmError } from '../base/index.js';
import { SimCluster } from '../sim/cluster.js';
import { STATE_DIR, type Life, type SimMachine } from '../sim/machine.js';
import { by } from '../store/index.js';

const CALL = { signal: new AbortController().signal };
const TOKEN_DIGEST = /^(SWMTKN-1-)([0-9a-z]{50})/;

let cluster: SimCluster;
let manager: SimMachine;
beforeEach(async () => {
  cluster = new SimCluster({ seed: 1 });
  manager = cluster.addManager();
  await ready(manager.life);
});

async function ready(life: Life | undefined): Promise<void> {
  if (life === undefined) throw new Error('it does not run');
  await cluster.wait(life.node.ready);
}

/** What the node ended with. */
async function failureOf(machine: SimMachine): Promise<unknown> {
  await cluster.until(() => machine.life === undefined, 120_000, `${machine.name} ends`);
  return machine.lastEnd?.error;
}

function stored(machine: SimMachine): Node | undefined {
  return cluster.view((tx) => tx.get('node', machine.nodeId));
}

const text = async (machine: SimMachine, name: string): Promise<string> =>
  new TextDecoder().decode(await machine.disk.readFile(`${STATE_DIR}/${name}`));

describe('a node that begins a cluster', () => {
  it('is its manager, its agent and its only node, ready at once', () => {
    const view = manager.life?.node.view();
    expect(view).toMatchObject({ role: 'swarm-manager', agentReady: true, controlReady: true });
    expect(view?.advertiseAddr).toBe(manager.addr);
    expect(view?.managers.map(({ peer }) => peer?.addr)).toEqual([manager.addr]);
    expect(stored(manager)).toMatchObject({
      role: NodeRole.MANAGER,
      status: { state: NodeStatus_State.READY },
      managerStatus: { leader: true, addr: manager.addr },
    });
    expect(manager.life?.node.cluster()?.spec?.annotations?.name).toBe('default');
  });

  it('is the same node in the same cluster after a restart, with what was stored', async () => {
    const { nodeId } = manager;
    const clusterId = manager.life?.node.cluster()?.id;
    await cluster.wait(
      cluster.control().createSecret({ spec: { annotations: { name: 's' }, data: new Uint8Array(1) } }, CALL),
    );
    await cluster.stop(manager);
    expect(manager.lastEnd?.error).toBeUndefined();
    await ready(cluster.start(manager));
    expect(manager.nodeId).toBe(nodeId);
    expect(manager.life?.node.cluster()?.id).toBe(clusterId);
    expect(cluster.view((tx) => tx.find('secret', by.name('s')))).toHaveLength(1);
  });

  it('announces every change of its view, and none after the end of a subscription', async () => {
    const node = cluster.start(cluster.addHost()).node;
    let [first, second] = [0, 0];
    using _kept = node.subscribe(() => first++);
    node.subscribe(() => second++)[Symbol.dispose]();
    await cluster.wait(node.ready);
    expect(first).toBeGreaterThan(1);
    expect(second).toBe(0);
  });

  it('refuses a token without an address to join', async () => {
    const host = cluster.addHost();
    cluster.start(host, { joinToken: cluster.joinToken() });
    expect(await failureOf(host)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining('joinToken'),
    });
  });

  it('refuses a state directory that another process uses, and leaves that one alone', async () => {
    const twin = cluster.addHost();
    twin.disk = manager.disk;
    cluster.start(twin);
    expect(await failureOf(twin)).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('in use'),
    });
    expect(manager.life?.node.view().controlReady).toBe(true);
  });

  it.each([
    ['before any file', 1],
    ['in the midst of its certificates', 12],
    ['before its log', 30],
    ['before the first commit', 45],
  ])('begins anew when it was killed %s', async (_, operations) => {
    const host = cluster.addHost();
    host.atDiskOperation(operations, () => host.crash('process', { kind: 'kept' }));
    cluster.start(host);
    await cluster.until(() => host.life === undefined, 10_000, 'the crash');
    await ready(cluster.start(host));
    expect(host.life?.node.cluster()?.id).toBe(host.life?.node.view().clusterId);
  });

  it('comes up again wherever in its start it is killed, and loses nothing that it acknowledged', async () => {
    for (let operations = 0; operations < 80; operations += 3) {
      const host = cluster.addHost();
      host.atDiskOperation(operations, () => host.crash('machine', { kind: 'lost' }));
      cluster.start(host);
      await cluster.step(5_000);
      const clusterId = host.life?.node.cluster()?.id;
      if (host.life !== undefined) host.crash('machine', { kind: 'lost' });
      await ready(cluster.start(host));
      if (clusterId !== undefined) expect(host.life?.node.cluster()?.id).toBe(clusterId);
      host.crash('machine');
    }
  });
});

describe('a node that joins', () => {
  it('gets a certificate for the role of its token and becomes ready', async () => {
    const worker = cluster.addWorker({ availability: NodeSpec_Availability.DRAIN });
    await ready(worker.life);
    expect(worker.life?.node.view()).toMatchObject({ role: 'swarm-worker', agentReady: true, controlReady: false });
    expect(worker.life?.node.control()).toBeUndefined();
    expect(worker.life?.node.store()).toBeUndefined();
    expect(worker.life?.node.cluster()).toBeUndefined();
    expect(stored(worker)).toMatchObject({
      role: NodeRole.WORKER,
      spec: { availability: NodeSpec_Availability.DRAIN },
      status: { state: NodeStatus_State.READY, addr: worker.host },
      description: { hostname: worker.name },
    });
  });

  it('remembers the managers in state.json and needs neither address nor token after that', async () => {
    const worker = cluster.addWorker();
    await ready(worker.life);
    await cluster.step(100);
    const { nodeId } = worker;
    expect(JSON.parse(await text(worker, 'state.json'))).toEqual([{ node_id: manager.nodeId, addr: manager.addr }]);
    await cluster.stop(worker);
    worker.joinOptions = undefined;
    await ready(cluster.start(worker));
    expect(worker.nodeId).toBe(nodeId);
  });

  it('takes up its certificate when it was killed before its first session', async () => {
    const worker = cluster.addWorker();
    await cluster.until(() => worker.nodeId !== '', 10_000, 'a certificate');
    const { nodeId } = worker;
    cluster.crash(worker, 'machine');
    await ready(cluster.start(worker));
    expect(worker.nodeId).toBe(nodeId);
  });

  it('does not look at the token once it has a certificate', async () => {
    const worker = cluster.addWorker();
    await ready(worker.life);
    await cluster.stop(worker);
    await ready(cluster.start(worker, { joinToken: 'nonsense' }));
  });

  it.each<[string, (token: string) => string | undefined, Code, string]>([
    ['no token', () => undefined, Code.INVALID_ARGUMENT, 'token'],
    ['what is no token', () => 'SWMTKN-1-abc', Code.INVALID_ARGUMENT, 'token'],
    ['a token of another secret', (token) => `${token.slice(0, -4)}aaaa`, Code.INVALID_ARGUMENT, 'token'],
    [
      'a token of another root',
      (token) => token.replace(TOKEN_DIGEST, `$1${'0'.repeat(50)}`),
      Code.FAILED_PRECONDITION,
      'fingerprint',
    ],
  ])('ends with %s, and says why', async (_, change, code, message) => {
    const joinToken = change(cluster.joinToken());
    const host = cluster.addHost();
    const life = cluster.start(host, { joinAddr: manager.addr, ...(joinToken === undefined ? {} : { joinToken }) });
    expect(await failureOf(host)).toMatchObject({ code, message: expect.stringContaining(message) });
    await expect(life.node.ready).rejects.toMatchObject({ code });
    expect(cluster.view((tx) => tx.count('node'))).toBe(1);
  });

  it('ends where nobody answers, naming the address', async () => {
    const host = cluster.addHost();
    cluster.start(host, { joinAddr: '10.0.0.99:2377', joinToken: cluster.joinToken() });
    expect(await failureOf(host)).toMatchObject({
      code: Code.UNAVAILABLE,
      message: expect.stringContaining('10.0.0.99:2377'),
    });
  });
});

describe('a node whose files are damaged', () => {
  const damage = (machine: SimMachine, name: string, content: string): Promise<void> =>
    machine.disk.writeFileAtomic(`${STATE_DIR}/${name}`, new TextEncoder().encode(content), 0o600);

  it.each([
    ['state.json', '{ "addr": '],
    ['state.json', '{}'],
    ['state.json', '[{"addr": 5}]'],
    ['certificates/swarm-node.crt', 'nonsense'],
    ['certificates/swarm-node.key', 'nonsense'],
    ['certificates/swarm-root-ca.crt', 'nonsense'],
  ])('says so: %s with %j', async (name, content) => {
    await cluster.stop(manager);
    await damage(manager, name, content);
    cluster.start(manager);
    const error = await failureOf(manager);
    expect(error).toMatchObject({ code: Code.DATA_LOSS });
    expect(isSwarmError(error) && error.message).toMatch(/restore|leave|remove/);
    expect(isSwarmError(error) && error.message).toContain(name.endsWith('root-ca.crt') ? 'root CA' : name);
  });

  it('does not begin another cluster where the log of its own is gone', async () => {
    await cluster.step(1_000);
    await cluster.stop(manager);
    await manager.disk.remove(`${STATE_DIR}/raft`);
    cluster.start(manager);
    expect(await failureOf(manager)).toMatchObject({
      code: Code.DATA_LOSS,
      message: expect.stringContaining('although this node was part of one'),
    });
    expect(await manager.disk.exists(`${STATE_DIR}/certificates/swarm-node.crt`)).toBe(true);
  });

  it('refuses a log that is damaged in the middle', async () => {
    await cluster.stop(manager);
    const [segment] = await manager.disk.list(`${STATE_DIR}/raft/wal`);
    const path = `${STATE_DIR}/raft/wal/${segment?.name}`;
    const bytes = await manager.disk.readFile(path);
    bytes.fill(0xff, 400, 500);
    await manager.disk.writeFileAtomic(path, bytes, 0o600);
    cluster.start(manager);
    expect(await failureOf(manager)).toMatchObject({ code: Code.DATA_LOSS });
  });
});

describe('a node that stops', () => {
  it('lets its manager write that the nodes are disconnected before the log closes', async () => {
    const worker = cluster.addWorker();
    await ready(worker.life);
    // Events come once they are durable.
    using events = cluster.store.watch({ tables: ['node'], commits: false });
    await cluster.stop(manager);
    expect(manager.lastEnd?.error).toBeUndefined();
    const states = new Map<string, NodeStatus_State | undefined>();
    for (const event of events.take()) {
      if (event.kind === 'update' && event.table === 'node') states.set(event.object.id, event.object.status?.state);
    }
    expect(states.get(worker.nodeId)).toBe(NodeStatus_State.DISCONNECTED);
  });

  it('gives everything back: another can start at once on the same directory and address', async () => {
    for (let i = 0; i < 3; i++) {
      await cluster.stop(manager);
      await ready(cluster.start(manager));
    }
    await cluster.stop(manager);
    expect(manager.lastEnd?.error).toBeUndefined();
  });

  it('stops while it still waits for a manager', async () => {
    const host = cluster.addHost();
    cluster.network.partition([host.host], [manager.host]);
    const life = cluster.start(host, { joinAddr: manager.addr, joinToken: cluster.joinToken() });
    await cluster.step(3_000);
    await cluster.stop(host, 10_000);
    await expect(life.node.ready).rejects.toMatchObject({ code: Code.CANCELED });
  });
});
