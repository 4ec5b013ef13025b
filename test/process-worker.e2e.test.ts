import { existsSync } from 'node:fs';

import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { useLab } from './support/lab.js';
import { freePort } from './support/free-port.js';
import type { Swarmd } from './support/swarmd.js';
import { waitFor } from './support/wait.js';

/** What these tests read of a task. */
interface TaskView {
  readonly ID: string;
  readonly NodeID: string;
  readonly DesiredState: string;
  readonly Status: { readonly State: string; readonly ContainerStatus?: { readonly PID: number } };
}

/** What these tests read of a node. */
interface NodeState {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string };
}

describe('workers of ours, tasks as processes', () => {
  const lab = useLab();
  let manager: Swarmd;
  let managerAddr: string;
  const workers: Swarmd[] = [];

  const worker = (at: number): Swarmd => {
    const found = workers[at];
    if (found === undefined) throw new Error(`worker ${at} was not started`);
    return found;
  };

  const tokens = (): Promise<{ Worker: string; Manager: string }> =>
    manager.engine
      .json<{ JoinTokens: { Worker: string; Manager: string } }>('GET', '/swarm')
      .then(({ JoinTokens }) => JoinTokens);

  const joining = async (name: string, token: string): Promise<Swarmd> =>
    lab.swarmd(name, {
      engineApi: false,
      args: ['--join-addr', managerAddr, '--join-token', token, '--listen-remote-api', `127.0.0.1:${await freePort()}`],
    });

  const nodeStates = async (): Promise<Readonly<Record<string, string>>> => {
    const nodes = await manager.engine.json<readonly NodeState[]>('GET', '/nodes');
    return Object.fromEntries(nodes.map((node) => [node.Description.Hostname, node.Status.State]));
  };

  const create = async (name: string, replicas: number, args: readonly string[], more = {}): Promise<string> => {
    const { ID } = await manager.engine.json<{ ID: string }>('POST', '/services/create', {
      body: {
        Name: name,
        TaskTemplate: {
          ContainerSpec: { Image: 'none', Command: args, StopGracePeriod: 1_000_000_000 },
          Placement: { Constraints: ['node.role==worker'] },
          ...more,
        },
        Mode: { Replicated: { Replicas: replicas } },
      },
    });
    return ID;
  };

  /** The tasks of a service that run, once there are so many and nothing else is meant to run. */
  const running = (service: string, count: number): Promise<readonly TaskView[]> =>
    waitFor(`${count} running tasks`, async () => {
      const filters = encodeURIComponent(JSON.stringify({ service: [service], 'desired-state': ['running'] }));
      const tasks = await manager.engine.json<readonly TaskView[]>('GET', `/tasks?filters=${filters}`);
      const done = tasks.length === count && tasks.every((task) => task.Status.State === 'running');
      if (!done) throw new Error(JSON.stringify(tasks.map((task) => task.Status)));
      return tasks;
    });

  const pids = (tasks: readonly TaskView[]): readonly number[] =>
    tasks.map((task) => task.Status.ContainerStatus?.PID ?? 0).sort((a, b) => a - b);

  beforeAll(async () => {
    manager = lab.swarmd('manager');
    await manager.start();
    managerAddr = `127.0.0.1:${await freePort()}`;
    await manager.engine.json('POST', '/swarm/init', {
      body: { ListenAddr: managerAddr, AdvertiseAddr: managerAddr, Spec: {} },
    });
    const { Worker } = await tokens();
    for (const name of ['worker-1', 'worker-2']) {
      const swarmd = await joining(name, Worker);
      workers.push(swarmd);
      await swarmd.start();
    }
  });

  afterEach(async () => {
    for (const { ID } of await manager.engine.json<readonly { ID: string }[]>('GET', '/services')) {
      await manager.engine.json('DELETE', `/services/${ID}`);
    }
    await waitFor(
      'the tasks to be gone',
      async () => (await manager.engine.json<readonly unknown[]>('GET', '/tasks')).length === 0,
    );
  });

  it('join with a token and run tasks as processes', async () => {
    expect(await nodeStates()).toEqual({ manager: 'ready', 'worker-1': 'ready', 'worker-2': 'ready' });
    const tasks = await running(await create('web', 4, ['sleep', '1000']), 4);
    expect(new Set(tasks.map((task) => task.NodeID)).size).toBe(2);
    for (const pid of pids(tasks)) expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  it('end the processes of a service that is removed', async () => {
    const service = await create('brief', 2, ['sleep', '1000']);
    const ended = pids(await running(service, 2));
    await manager.engine.json('DELETE', `/services/${service}`);
    await waitFor('the processes to end', () => ended.every((pid) => !existsSync(`/proc/${pid}`)));
  });

  it('are killed and started again without their tasks noticing', async () => {
    const service = await create('steady', 4, ['sleep', '1000']);
    const before = await running(service, 4);
    await worker(0).kill();
    for (const pid of pids(before)) expect(existsSync(`/proc/${pid}`)).toBe(true);
    await worker(0).start();
    await waitFor('both to be ready', async () => {
      const states = await nodeStates();
      return states['worker-1'] === 'ready' && states['worker-2'] === 'ready';
    });
    // What ends afterwards is noticed: the new daemon really watches the old processes.
    const { ID: nodeId } = await manager.engine.json<NodeState>('GET', '/nodes/worker-1');
    const own = before.find((task) => task.NodeID === nodeId);
    const after = await running(service, 4);
    expect(pids(after)).toEqual(pids(before));
    const pid = own?.Status.ContainerStatus?.PID;
    if (pid === undefined) throw new Error('worker-1 has no task');
    process.kill(pid, 'SIGKILL');
    await waitFor('the lost task to be replaced', async () => {
      const tasks = await running(service, 4);
      return !tasks.some((task) => task.ID === own?.ID);
    });
  });

  it('notice tasks that ended while they were away', async () => {
    const service = await create('lost', 2, ['sleep', '1000'], {
      RestartPolicy: { Condition: 'any', Delay: 100_000_000 },
    });
    const before = await running(service, 2);
    await worker(0).kill();
    await worker(1).kill();
    for (const pid of pids(before)) process.kill(pid, 'SIGKILL');
    await worker(0).start();
    await worker(1).start();
    await waitFor('both tasks to be replaced', async () => {
      const tasks = await running(service, 2);
      return tasks.every((task) => !before.some((old) => old.ID === task.ID));
    });
  });

  it.each(['stop', 'kill'] as const)('keep their tasks while the manager is restarted (%s)', async (how) => {
    const service = await create(`kept-${how}`, 4, ['sleep', '1000']);
    const before = pids(await running(service, 4));
    await manager[how]();
    await manager.startActive();
    await waitFor('both to be ready', async () => {
      const states = await nodeStates();
      return states['worker-1'] === 'ready' && states['worker-2'] === 'ready';
    });
    expect(pids(await running(service, 4))).toEqual(before);
    for (const pid of before) expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  it('are replaced when they stay away, and take back no task that moved', async () => {
    const service = await create('moving', 2, ['sleep', '1000']);
    const before = await running(service, 2);
    const { stateDir } = worker(0);
    expect(existsSync(stateDir)).toBe(true);
    await worker(0).kill();
    await waitFor('worker-1 to be down', async () => (await nodeStates())['worker-1'] === 'down');
    const moved = await running(service, 2);
    expect(new Set(moved.map((task) => task.NodeID)).size).toBe(1);
    const stale = before.filter((task) => !moved.some(({ ID }) => ID === task.ID));
    expect(stale).toHaveLength(1);
    await worker(0).start();
    await waitFor('the process of the task that moved to end', () =>
      pids(stale).every((pid) => !existsSync(`/proc/${pid}`)),
    );
    expect(pids(await running(service, 2))).toEqual(pids(moved));
  });

  it('are refused with a token of another cluster, and say why', async () => {
    const other = lab.swarmd('other');
    await other.start();
    const addr = `127.0.0.1:${await freePort()}`;
    await other.engine.json('POST', '/swarm/init', { body: { ListenAddr: addr, AdvertiseAddr: addr, Spec: {} } });
    const { JoinTokens } = await other.engine.json<{ JoinTokens: { Worker: string } }>('GET', '/swarm');
    const stranger = await joining('stranger', JoinTokens.Worker);
    stranger.program.start();
    expect(await stranger.program.end(60_000)).toBe(1);
    expect(stranger.program.output).toMatch(/swarmd: .*remote CA does not match fingerprint/);
    expect(Object.keys(await nodeStates()).sort()).toEqual(['manager', 'worker-1', 'worker-2']);
    await other.stop();
  });
});
