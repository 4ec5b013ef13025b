import { describe, expect, test } from 'vitest';

import { NodeSpec_Availability } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { formatUnlockKey } from '../../ca/index.js';
import { tlsProblem } from '../../ca/tls-problem.js';
import { SimDisk } from '../../sim/index.js';
import { ApiError } from '../http/index.js';
import { LocalNodeWorld, STATE_DIR } from './local-node.test-helper.js';
import { TEXTS } from './texts.js';

const NEVER = new AbortController().signal;
const LOCKED = tlsProblem('locked', 'the key is encrypted');
const KEY = formatUnlockKey(new Uint8Array(32).fill(7));

/** Status and text of a refusal. */
async function refusal(promise: Promise<unknown>): Promise<readonly [number, string]> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ApiError) return [error.status, error.message];
    throw error;
  }
  throw new Error('it was not refused');
}

/** Text of the refusal to act as a manager. */
function notManager({ node }: LocalNodeWorld): string {
  try {
    node.manager();
    return '';
  } catch (error) {
    return (error as ApiError).message;
  }
}

describe('states (E-301 to E-305) and why there is no manager (E-310)', () => {
  test('inactive without a node', () => {
    const world = new LocalNodeWorld();
    expect(world.node.status()).toMatchObject({ state: 'inactive', error: '', nodeAddr: '', isManager: false });
    expect(notManager(world)).toBe(TEXTS.noSwarm);
  });

  test('pending while a node starts', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ hangs: true, control: false }];
    const init = world.init();
    await world.clock.settle();
    expect(world.node.status()).toMatchObject({ state: 'pending', error: '' });
    expect(notManager(world)).toBe(TEXTS.noControl);
    world.last.becomeReady();
    await init;
  });

  test('active once it is ready; a manager answers', async () => {
    const world = new LocalNodeWorld();
    await world.init();
    expect(world.node.status()).toMatchObject({ state: 'active', isManager: true, nodeAddr: '192.0.2.10' });
    expect(world.node.manager().nodeId).toBe('n1');
    expect(world.node.store()).toBeDefined();
  });

  test('active as a worker, which manages nothing', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ role: 'swarm-worker' }];
    await world.join();
    expect(world.node.status()).toMatchObject({ state: 'active', isManager: false });
    expect(notManager(world)).toBe(TEXTS.worker);
    expect(world.node.store()).toBeUndefined();
  });

  test.each([
    ['locked', LOCKED, TEXTS.locked, TEXTS.locked],
    ['error', tlsProblem('expired', 'x'), TEXTS.certificatesExpired, TEXTS.certificatesExpired],
    ['error', new SwarmError(Code.INTERNAL, 'disk on fire'), 'disk on fire', TEXTS.noSwarm],
  ] as const)('%s after a node that cannot start', async (state, failure, error, refused) => {
    const world = new LocalNodeWorld();
    world.scripts = [{ failure }];
    await saveState(world);
    await world.node.resume(NEVER);
    expect(world.node.status()).toMatchObject({ state, error, view: undefined });
    expect(notManager(world)).toBe(refused);
  });
});

describe('init (E-321 to E-326)', () => {
  test('starts a node with what was asked for and saves how', async () => {
    const world = new LocalNodeWorld();
    const nodeId = await world.init({
      listenAddr: 'eth0:3000',
      advertiseAddr: '198.51.100.1',
      dataPathAddr: 'eth0',
      dataPathPort: 5000,
      autoLockManagers: true,
      availability: 'DRAIN',
      defaultAddressPool: [' 10.1.0.0/16'],
      subnetSize: 26,
    });
    expect(nodeId).toBe('n1');
    expect(world.last.options).toMatchObject({
      stateDir: STATE_DIR,
      listenControlApi: '/control.sock',
      listenRemoteApi: '192.0.2.10:3000',
      advertiseRemoteApi: '198.51.100.1:3000',
      autoLockManagers: true,
      availability: NodeSpec_Availability.DRAIN,
      defaultAddressPool: ['10.1.0.0/16'],
      subnetSize: 26,
      dataPathPort: 5000,
    });
    expect(await world.saved()).toEqual({
      LocalAddr: '192.0.2.10',
      RemoteAddr: '',
      ListenAddr: '192.0.2.10:3000',
      AdvertiseAddr: '198.51.100.1:3000',
      DataPathAddr: '192.0.2.10',
      DefaultAddressPool: ['10.1.0.0/16'],
      SubnetSize: 26,
      DataPathPort: 5000,
      JoinInProgress: false,
    });
    expect(world.node.status()).toMatchObject({ nodeAddr: '198.51.100.1', dataPathAddr: '192.0.2.10' });
  });

  test('a second init or join is refused before its request is looked at', async () => {
    const world = new LocalNodeWorld();
    await world.init();
    expect(await refusal(world.init({ listenAddr: '' }))).toEqual([503, TEXTS.alreadyInSwarm]);
    expect(await refusal(world.join({ listenAddr: '' }))).toEqual([503, TEXTS.alreadyInSwarm]);
  });

  test('checks in the order of stock: listen, name, advertise, data path, local, pool, port, availability', async () => {
    const world = new LocalNodeWorld();
    const bad = {
      listenAddr: '',
      name: 'other',
      advertiseAddr: 'nowhere',
      dataPathAddr: 'nowhere',
      defaultAddressPool: ['x'],
      dataPathPort: 80,
      availability: 'boss',
    };
    const texts: string[] = [];
    for (const fixed of [
      {},
      { listenAddr: 'nowhere' },
      { name: 'default' },
      { listenAddr: '0.0.0.0' },
      { advertiseAddr: '' },
      { dataPathAddr: '' },
      { defaultAddressPool: [] },
      { dataPathPort: 0 },
    ]) {
      Object.assign(bad, fixed);
      texts.push((await refusal(world.init(bad)))[1]);
    }
    expect(texts.map((text) => text.slice(0, 24))).toEqual([
      'invalid ListenAddr "": i',
      'swarm spec must be named',
      'listen address must be a',
      'advertise address must b',
      'data path address must b',
      'invalid base pool x: inv',
      'Datapath port number is ',
      'invalid Availability: "b',
    ]);
    expect(world.nodes).toEqual([]);
    expect(await world.saved()).toBeUndefined();
  });

  test('a first start that fails leaves nothing behind', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ failure: new SwarmError(Code.FAILED_PRECONDITION, 'address 0.0.0.0:2377 is already in use') }];
    expect(await refusal(world.init())).toEqual([500, 'address 0.0.0.0:2377 is already in use']);
    expect(world.node.status()).toMatchObject({ state: 'inactive', nodeAddr: '' });
    expect(await world.disk.list(STATE_DIR)).toEqual([]);
    world.scripts = [{}];
    await world.init();
  });

  test('is one at a time with the others', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ hangs: true }];
    const first = world.init();
    const second = refusal(world.init());
    await world.clock.settle();
    expect(world.nodes).toHaveLength(1);
    world.last.becomeReady();
    await first;
    expect(await second).toEqual([503, TEXTS.alreadyInSwarm]);
  });

  test('by force stops a manager and starts from its data', async () => {
    const world = new LocalNodeWorld();
    await world.init();
    await world.write('raft/data', 'x');
    await world.init({ forceNewCluster: true });
    expect(world.nodes.map(({ stopped, options }) => [stopped, options.forceNewCluster])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(await world.disk.exists(`${STATE_DIR}/raft/data`)).toBe(true);
  });

  test('by force is refused to a worker, and with a bad request stops nothing', async () => {
    const worker = new LocalNodeWorld();
    worker.scripts = [{ role: 'swarm-worker' }];
    await worker.join();
    expect(await refusal(worker.init({ forceNewCluster: true }))).toEqual([503, TEXTS.worker]);
    const manager = new LocalNodeWorld();
    await manager.init();
    await refusal(manager.init({ forceNewCluster: true, listenAddr: 'nowhere' }));
    expect(manager.node.status().state).toBe('active');
  });

  test('by force on a manager that turns out to be locked keeps its data and can be unlocked', async () => {
    const world = new LocalNodeWorld();
    await world.init();
    world.scripts = [{ failure: LOCKED }, {}];
    expect(await refusal(world.init({ forceNewCluster: true }))).toEqual([503, TEXTS.locked]);
    expect(world.node.status().state).toBe('locked');
    await world.node.unlock(KEY);
    expect(world.node.status().state).toBe('active');
  });
});

describe('join (E-341 to E-345)', () => {
  test('starts a node that dials the first remote, and records when it is done', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ role: 'swarm-worker', hangs: true }];
    const join = world.join({
      remoteAddrs: ['192.0.2.1', '192.0.2.2:2377'],
      advertiseAddr: 'eth0',
      dataPathAddr: 'eth0',
      availability: 'pause',
    });
    await world.clock.settle();
    expect(world.last.options).toMatchObject({
      joinAddr: '192.0.2.1:2377',
      joinToken: '',
      listenRemoteApi: '0.0.0.0:2377',
      advertiseRemoteApi: '192.0.2.10:2377',
      availability: NodeSpec_Availability.PAUSE,
    });
    expect(await world.saved()).toMatchObject({ RemoteAddr: '192.0.2.1:2377', JoinInProgress: true });
    world.last.becomeReady();
    await join;
    await world.clock.settle();
    expect(await world.saved()).toMatchObject({ LocalAddr: '192.0.2.10', JoinInProgress: false });
  });

  test.each([
    [{ listenAddr: '' }, 400, 'invalid ListenAddr "": invalid empty address'],
    [{ remoteAddrs: [] }, 400, TEXTS.remoteNeeded],
    [{ remoteAddrs: ['192.0.2.1', ''] }, 400, 'invalid remoteAddr "": invalid empty address'],
    [{ joinToken: 'nonsense' }, 500, 'invalid join token'],
    [{ availability: 'boss' }, 500, 'invalid Availability: "boss"'],
    [
      { dataPathAddr: '0.0.0.0' },
      400,
      'data path address must be a non-zero IP address or network interface (without a port number)',
    ],
  ])('%j is refused before anything starts', async (changes, status, text) => {
    const world = new LocalNodeWorld();
    expect(await refusal(world.join(changes))).toEqual([status, text]);
    expect(world.nodes).toEqual([]);
  });

  test('an advertise address that does not resolve is left to the manager (E-344)', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ role: 'swarm-worker' }];
    await world.join({ advertiseAddr: 'nowhere' });
    expect(world.last.options.advertiseRemoteApi).toBeUndefined();
    expect(world.node.status().nodeAddr).toBe('192.0.2.10');
  });

  test('a remote without a route is refused, unless the node listens on one address (E-336)', async () => {
    const world = new LocalNodeWorld();
    world.sourceAddress = () => Promise.reject(new Error('network is unreachable'));
    expect(await refusal(world.join())).toEqual([500, 'could not find local IP address: network is unreachable']);
    await world.join({ listenAddr: 'eth0' });
    expect(await world.saved()).toMatchObject({ LocalAddr: '192.0.2.10' });
  });

  test('a failure within the wait leaves nothing behind, and keeps the rendering of a remote error', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ failure: new SwarmError(Code.UNAVAILABLE, 'connection error: refused') }];
    await expect(world.join()).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    expect(world.node.status().state).toBe('inactive');
    expect(await world.disk.list(STATE_DIR)).toEqual([]);
  });

  test('after 20 seconds the request ends, and joining goes on', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ role: 'swarm-worker', hangs: true }];
    const answered = refusal(world.join());
    await world.clock.advance(19_999);
    expect(world.node.status().state).toBe('pending');
    await world.clock.advance(1);
    expect(await answered).toEqual([503, TEXTS.joinTimeout]);
    expect(world.node.status().state).toBe('pending');
    expect(await world.saved()).toMatchObject({ JoinInProgress: true });
    world.last.becomeReady();
    await world.clock.settle();
    expect(world.node.status().state).toBe('active');
    expect(await world.saved()).toMatchObject({ JoinInProgress: false });
  });
});

describe('leave (E-351 to E-354)', () => {
  test('without a swarm is refused, by force as well', async () => {
    const { node } = new LocalNodeWorld();
    expect(await refusal(node.leave(false))).toEqual([503, TEXTS.notInSwarm]);
    expect(await refusal(node.leave(true))).toEqual([503, TEXTS.notInSwarm]);
  });

  test('stops a worker, removes its tasks and what is in its directory', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ role: 'swarm-worker' }];
    await world.join();
    await world.write('worker/tasks.db', 'x');
    await world.node.leave(false);
    expect(world.last.stopped).toBe(true);
    expect(world.removedTasksOf).toEqual(['n1']);
    expect(await world.disk.exists(STATE_DIR)).toBe(true);
    expect(await world.disk.list(STATE_DIR)).toEqual([]);
    expect(world.node.status()).toMatchObject({ state: 'inactive', nodeAddr: '', dataPathAddr: '' });
  });

  const RESTORE = TEXTS.restoreHint;
  test.each([
    ['the last manager', { managers: ['REACHABLE'] }, TEXTS.lastManager],
    [
      'one of two',
      { managers: ['REACHABLE', 'REACHABLE'] },
      `Removing this node leaves 1 managers out of 2. Without a Raft quorum your swarm will be inaccessible. ${RESTORE}`,
    ],
    [
      'one of three with one away',
      { managers: ['REACHABLE', 'REACHABLE', 'UNREACHABLE'] },
      `Removing this node leaves 1 managers out of 3. Without a Raft quorum your swarm will be inaccessible. ${RESTORE}`,
    ],
    ['one of three', { managers: ['REACHABLE', 'REACHABLE', 'REACHABLE'] }, RESTORE],
    ['one that is not reachable itself', { managers: ['UNREACHABLE', 'REACHABLE'] }, RESTORE],
    ['one among those of unknown state', { managers: ['REACHABLE', 'REACHABLE', 'REACHABLE', 'UNKNOWN'] }, RESTORE],
    ['one without a control connection', { control: false }, `${TEXTS.mayLoseConsensus}${RESTORE}`],
    ['one that does not answer', { silent: true }, RESTORE],
  ] as const)('of %s needs force', async (_what, script, text) => {
    const world = new LocalNodeWorld();
    world.scripts = [script];
    await world.init();
    const answer = refusal(world.node.leave(false));
    await world.clock.advance(5_000);
    expect(await answer).toEqual([503, `${TEXTS.managerLeave}${text}`]);
    expect(world.node.status().state).toBe('active');
    await world.node.leave(true);
    expect(world.node.status().state).toBe('inactive');
  });

  test('of a locked manager needs force', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ failure: LOCKED }];
    await saveState(world);
    await world.node.resume(NEVER);
    expect(await refusal(world.node.leave(false))).toEqual([503, TEXTS.lockedLeave]);
    await world.node.leave(true);
    expect(world.node.status().state).toBe('inactive');
  });

  test('ends a wait between two starts', async () => {
    const world = new LocalNodeWorld();
    await world.init();
    world.last.fail(new Error('lost'));
    await world.clock.settle();
    expect(world.node.status()).toMatchObject({ state: 'error', error: 'lost' });
    await world.node.leave(true);
    await world.clock.advance(60_000);
    expect(world.nodes).toHaveLength(1);
    expect(world.clock.pendingTimers).toBe(0);
  });
});

describe('unlock (E-207, E-356)', () => {
  test('is refused where nothing is locked, whatever the key', async () => {
    const world = new LocalNodeWorld();
    expect(await refusal(world.node.unlock('nonsense'))).toEqual([503, TEXTS.noSwarm]);
    await world.init();
    expect(await refusal(world.node.unlock('nonsense'))).toEqual([409, TEXTS.notLocked]);
    const worker = new LocalNodeWorld();
    worker.scripts = [{ role: 'swarm-worker' }];
    await worker.join();
    expect(await refusal(worker.node.unlock(KEY))).toEqual([503, TEXTS.worker]);
  });

  test('starts the node with the key; nothing that is no key is tried', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ failure: LOCKED }, { failure: LOCKED }, { failure: new Error('disk on fire') }];
    await saveState(world);
    await world.node.resume(NEVER);
    expect(await refusal(world.node.unlock('nonsense'))).toEqual([400, 'invalid key string']);
    expect(await refusal(world.node.unlock(''))).toEqual([400, 'invalid key string']);
    expect(world.nodes).toHaveLength(1);
    expect(await refusal(world.node.unlock(KEY))).toEqual([401, TEXTS.invalidKey]);
    expect(world.node.status().state).toBe('locked');
    expect(await refusal(world.node.unlock(KEY))).toEqual([500, 'swarm component could not be started: disk on fire']);
    expect(Array.from(world.last.options.unlockKey ?? [])).toEqual(Array.from({ length: 32 }, () => 7));
  });
});

describe('a new process (E-313)', () => {
  test('stays inactive where there is nothing to take up', async () => {
    const world = new LocalNodeWorld();
    await world.node.resume(NEVER);
    expect(world.node.status().state).toBe('inactive');
    expect(world.nodes).toEqual([]);
  });

  test('erases a state without a certificate', async () => {
    const world = new LocalNodeWorld();
    await world.write('docker-state.json', '{}');
    await world.write('raft/data', 'x');
    await world.node.resume(NEVER);
    expect(world.nodes).toEqual([]);
    expect(await world.disk.list(STATE_DIR)).toEqual([]);
  });

  test('starts the node as it was, without tokens', async () => {
    const world = new LocalNodeWorld();
    await world.init({
      listenAddr: 'eth0:3000',
      dataPathPort: 5000,
      subnetSize: 26,
      defaultAddressPool: ['10.1.0.0/16'],
    });
    await world.write('certificates/swarm-node.crt', 'x');
    const next = new LocalNodeWorld({ disk: world.disk });
    await next.node.resume(NEVER);
    expect(next.node.status()).toMatchObject({ state: 'active', nodeAddr: '192.0.2.10' });
    expect(next.last.options).toEqual({
      stateDir: STATE_DIR,
      listenControlApi: '/control.sock',
      listenRemoteApi: '192.0.2.10:3000',
      advertiseRemoteApi: '192.0.2.10:3000',
      defaultAddressPool: ['10.1.0.0/16'],
      subnetSize: 26,
      dataPathPort: 5000,
    });
  });

  test('goes on with a join that was under way', async () => {
    const world = new LocalNodeWorld();
    await saveState(world, { JoinInProgress: true, RemoteAddr: '192.0.2.1:2377' });
    await world.node.resume(NEVER);
    expect(world.last.options.joinAddr).toBe('192.0.2.1:2377');
    await world.clock.settle();
    expect(await world.saved()).toMatchObject({ JoinInProgress: false });
  });

  test('waits 20 seconds for readiness, then carries on', async () => {
    const world = new LocalNodeWorld();
    world.scripts = [{ hangs: true }];
    await saveState(world);
    let resumed = false;
    const resume = world.node.resume(NEVER).then(() => (resumed = true));
    await world.clock.advance(19_999);
    expect(resumed).toBe(false);
    await world.clock.advance(1);
    await resume;
    expect(world.node.status().state).toBe('pending');
  });

  test('does not touch a state that it cannot read', async () => {
    const world = new LocalNodeWorld({ disk: new SimDisk() });
    await saveState(world);
    await world.write('docker-state.json', '{"ListenAddr":');
    await expect(world.node.resume(NEVER)).rejects.toMatchObject({ code: Code.DATA_LOSS });
    expect(await world.disk.exists(`${STATE_DIR}/certificates/swarm-node.crt`)).toBe(true);
  });
});

test('a call that the manager does not answer ends after 20 seconds (E-116)', async () => {
  const world = new LocalNodeWorld();
  world.scripts = [{ silent: true }];
  await world.init();
  const { control } = world.node.manager();
  const call = control.listNodes({}, { signal: NEVER, timeoutMs: 20_000 });
  const outcome = expect(call).rejects.toMatchObject({
    code: Code.DEADLINE_EXCEEDED,
    rpcText: 'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
  });
  await world.clock.advance(20_000);
  await outcome;
  expect(world.clock.pendingTimers).toBe(0);
});

test('stopping the engine keeps the state', async () => {
  const world = new LocalNodeWorld();
  await world.init();
  await world.node.stop();
  expect(world.last.stopped).toBe(true);
  expect(await world.saved()).toBeDefined();
});

/** A state as an earlier process leaves it. */
async function saveState(world: LocalNodeWorld, changes: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const state = { LocalAddr: '192.0.2.10', ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '192.0.2.10:2377', ...changes };
  await world.write('docker-state.json', JSON.stringify(state));
  await world.write('certificates/swarm-node.crt', 'x');
}
