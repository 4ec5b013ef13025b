import { randomInt } from 'node:crypto';
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import { beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { crc32c } from '../src/manager/raft-node/crc32c.js';
import type { EngineClient } from './support/engine-client.js';
import { freePort } from './support/free-port.js';
import { useLab } from './support/lab.js';
import { Swarmd } from './support/swarmd.js';
import { waitFor } from './support/wait.js';

const KILLS = 6;
const WRITERS = 4;
/** The manager is killed this long after the writers began, at random. */
const LIFE_MS = [50, 1_200] as const;
const WRONG_KEY = `SWMKEY-1-${'A'.repeat(43)}`;

async function initSwarm(swarmd: Swarmd, spec = {}, address = '127.0.0.1'): Promise<void> {
  const addr = `${address}:${await freePort(address)}`;
  await swarmd.engine.json('POST', '/swarm/init', { body: { ListenAddr: addr, AdvertiseAddr: addr, Spec: spec } });
}

describe('a manager that is killed while it writes', () => {
  const lab = useLab();
  let manager: Swarmd;
  let service: string;

  /** Names and contents that were acknowledged, and those that were asked for at all. */
  const acknowledged = new Map<string, string>();
  const attempted = new Map<string, string>();
  const removed = new Set<string>();
  const removing = new Set<string>();
  /** The service's generation: last acknowledged, last asked for. */
  const generation = { acknowledged: 0, attempted: 0 };

  beforeAll(async () => {
    manager = lab.swarmd('manager');
    await manager.start();
    await initSwarm(manager);
    const { ID } = await manager.engine.json<{ ID: string }>('POST', '/services/create', { body: serviceSpec(0) });
    service = ID;
  });

  it.each(Array.from({ length: KILLS }, (_, kill) => kill + 1))(
    'has everything it acknowledged (kill %i)',
    async (kill) => {
      const lifeMs = randomInt(...LIFE_MS);
      const over = new AbortController();
      const writers = [
        ...Array.from({ length: WRITERS }, (_, writer) => writeConfigs(`k${kill}-w${writer}`, over.signal)),
        updateService(over.signal),
      ];
      await delay(lifeMs);
      await manager.kill();
      over.abort();
      await Promise.all(writers);
      await manager.startActive();
      await check(`killed after ${lifeMs} ms`);
    },
  );

  it('has had something to lose', () => {
    expect(acknowledged.size).toBeGreaterThan(50);
    expect(removed.size).toBeGreaterThan(5);
    expect(generation.acknowledged).toBeGreaterThan(10);
  });

  it('has the same after a stop, and after a start that follows at once', async () => {
    await manager.stop();
    await manager.startActive();
    await check('stopped');
    await manager.stop();
    await manager.start();
    await manager.kill();
    await manager.startActive();
    await check('killed while starting');
  });

  /** Creates configs, and removes every fifth, until the daemon is gone. */
  async function writeConfigs(prefix: string, signal: AbortSignal): Promise<void> {
    for (let at = 0; !signal.aborted; at++) {
      const name = `${prefix}-${at}`;
      const data = Buffer.from(`content of ${name} `.repeat(1 + (at % 40))).toString('base64');
      attempted.set(name, data);
      const created = await writes(manager.engine, 'POST', '/configs/create', { Name: name, Data: data });
      if (created === 'gone') return;
      expect(created).toBe(201);
      acknowledged.set(name, data);
      if (at % 5 !== 4) continue;
      removing.add(name);
      const deleted = await writes(manager.engine, 'DELETE', `/configs/${name}`);
      if (deleted === 'gone') return;
      expect(deleted).toBe(204);
      removed.add(name);
    }
  }

  async function updateService(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let version: number;
      try {
        version = (await inspectService()).version;
      } catch {
        return;
      }
      generation.attempted++;
      const path = `/services/${service}/update?version=${version}`;
      const answer = await writes(manager.engine, 'POST', path, serviceSpec(generation.attempted));
      if (answer === 'gone') return;
      expect(answer).toBe(200);
      generation.acknowledged = generation.attempted;
    }
  }

  async function inspectService(): Promise<{ version: number; generation: number }> {
    const { Version, Spec } = await manager.engine.json<{
      Version: { Index: number };
      Spec: { Labels: { generation: string } };
    }>('GET', `/services/${service}`);
    return { version: Version.Index, generation: Number(Spec.Labels.generation) };
  }

  async function check(how: string): Promise<void> {
    const configs = await manager.engine.json<readonly { Spec: { Name: string; Data: string } }[]>('GET', '/configs');
    const found = new Map(configs.map(({ Spec }) => [Spec.Name, Spec.Data]));
    const lost = [...acknowledged].filter(([name, data]) => !removing.has(name) && found.get(name) !== data);
    expect(lost, `${how}: lost`).toEqual([]);
    const invented = [...found].filter(([name, data]) => attempted.get(name) !== data);
    expect(invented, `${how}: invented`).toEqual([]);
    expect(
      [...removed].filter((name) => found.has(name)),
      `${how}: came back`,
    ).toEqual([]);
    const { generation: seen } = await inspectService();
    expect(seen, how).toBeGreaterThanOrEqual(generation.acknowledged);
    expect(seen, how).toBeLessThanOrEqual(generation.attempted);
    generation.acknowledged = seen;
  }
});

describe('a state directory', () => {
  const lab = useLab();
  let original: Swarmd;
  let swarmd: Swarmd;

  beforeAll(async () => {
    original = lab.swarmd('original', {
      engineApi: false,
      args: ['--listen-remote-api', `127.0.0.1:${await freePort()}`],
    });
    await original.start();
    await waitFor('the list of managers to be saved', () => readFileSync(`${original.stateDir}/state.json`).length > 2);
  });

  const start = async (): Promise<{ code: number; text: string }> => {
    swarmd.program.start();
    const code = await swarmd.program.end();
    return { code, text: swarmd.program.output.split('\n').findLast((line) => line.startsWith('swarmd: ')) ?? '' };
  };
  const wal = (): string => {
    const directory = `${swarmd.stateDir}/raft/wal`;
    return `${directory}/${readdirSync(directory)[0] ?? ''}`;
  };
  const filesOf = (directory: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      readdirSync(directory, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && !/^lock|-journal$/.test(entry.name))
        .map((entry) => `${entry.parentPath}/${entry.name}`)
        .map((path) => [path, readFileSync(path, 'base64')]),
    );

  beforeEach(async () => {
    swarmd = lab.swarmd('copy', { engineApi: false, args: ['--listen-remote-api', `127.0.0.1:${await freePort()}`] });
    cpSync(original.stateDir, swarmd.stateDir, { recursive: true });
  });

  it('is refused while another process uses it', async () => {
    const second = new Swarmd({
      name: 'second',
      directory: lab.makeDirectory('second'),
      engineApi: false,
      args: ['--state-dir', original.stateDir],
    });
    lab.keep(second.program).start();
    expect(await second.program.end()).toBe(1);
    expect(second.program.output).toContain(
      `swarmd: ${original.stateDir} is in use by another process (process ${original.program.pid}): stop it first, or choose another directory`,
    );
    expect(original.program.isRunning).toBe(true);
  });

  it('is refused when its log is damaged in the middle, and left as it is', async () => {
    const bytes = readFileSync(wal());
    bytes.write('XXXX', 300);
    writeFileSync(wal(), bytes);
    const before = filesOf(`${swarmd.stateDir}/raft`);
    const { code, text } = await start();
    expect(code).toBe(1);
    expect(text).toMatch(
      /raft\/wal\/0{15}1\.wal is damaged at offset \d+: .*Nothing was changed\. Restore the directory "raft"/,
    );
    expect(filesOf(`${swarmd.stateDir}/raft`)).toEqual(before);
  });

  it('is refused when its log has a newer format', async () => {
    const bytes = readFileSync(wal());
    bytes.writeUInt32LE(9, 8);
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, 60)), 60);
    writeFileSync(wal(), bytes);
    const { code, text } = await start();
    expect(code).toBe(1);
    expect(text).toMatch(/has format 9; this program reads up to 1: use the newer program that wrote it$/);
  });

  it('is refused when its log is gone, and nothing else is thrown away', async () => {
    rmSync(`${swarmd.stateDir}/raft`, { recursive: true });
    const before = filesOf(`${swarmd.stateDir}/certificates`);
    const { code, text } = await start();
    expect(code).toBe(1);
    expect(text).toMatch(
      /raft holds no cluster, although this node was part of one: restore the directory "raft" from a backup/,
    );
    expect(filesOf(`${swarmd.stateDir}/certificates`)).toEqual(before);
  });

  it.each([
    ['worker/tasks.db', /the task database .*tasks\.db is damaged \(.*\): move it away/],
    ['certificates/swarm-node.crt', /swarm-node\.crt is damaged \(.*\): restore it from a backup/],
    ['certificates/swarm-node.key', /swarm-node\.key is damaged \(.*\): restore it from a backup/],
    ['certificates/swarm-root-ca.crt', /root CA certificate is damaged \(.*\): restore it/],
    ['state.json', /state\.json is damaged: restore it/],
  ])('is refused when %s is damaged', async (file, expected) => {
    rmSync(`${swarmd.stateDir}/worker/tasks.db-wal`, { force: true });
    writeFileSync(`${swarmd.stateDir}/${file}`, 'garbage\n');
    const { code, text } = await start();
    expect({ code, text }).toEqual({ code: 1, text: expect.stringMatching(expected) });
    expect(readFileSync(`${swarmd.stateDir}/${file}`, 'utf8')).toBe('garbage\n');
  });

  it('is taken up again after a write that was cut short', async () => {
    const path = wal();
    const bytes = readFileSync(path);
    // The records end where the zeros that are written ahead begin.
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    bytes.fill(0xff, end + 8, end + 200);
    writeFileSync(path, bytes);
    await swarmd.start();
    expect(swarmd.program.output).toContain('node is ready');
    await swarmd.stop();
  });
});

describe('a locked manager', () => {
  const lab = useLab();
  let manager: Swarmd;
  let key: string;

  beforeAll(async () => {
    manager = lab.swarmd('manager');
    await manager.start();
    await initSwarm(manager, { EncryptionConfig: { AutoLockManagers: true } });
    key = (await manager.engine.json<{ UnlockKey: string }>('GET', '/swarm/unlockkey')).UnlockKey;
    await manager.engine.json('POST', '/configs/create', { body: { Name: 'kept', Data: 'a2VwdA==' } });
    await waitFor('the key file to be encrypted', () => manager.logged(/the node key is encrypted anew/).length > 0);
  });

  it('stays locked after a restart until it gets the right key', async () => {
    expect(key).toMatch(/^SWMKEY-1-[A-Za-z0-9+/]{43}$/);
    await manager.kill();
    await manager.start();
    await waitFor('the manager to be locked', async () => (await manager.swarmState()) === 'locked');
    const answers = [
      await manager.engine.request('GET', '/services'),
      await manager.engine.request('POST', '/swarm/unlock', { body: { UnlockKey: 'nonsense' } }),
      await manager.engine.request('POST', '/swarm/unlock', { body: { UnlockKey: WRONG_KEY } }),
      await manager.engine.request('POST', '/swarm/leave'),
    ];
    expect(answers.map(({ status, text }) => [status, (JSON.parse(text) as { message: string }).message])).toEqual([
      [
        503,
        'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
      ],
      [400, 'invalid key string'],
      [401, 'swarm could not be unlocked: invalid key provided'],
      [503, 'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.'],
    ]);
    expect(await manager.swarmState()).toBe('locked');
    await manager.engine.json('POST', '/swarm/unlock', { body: { UnlockKey: key }, timeoutMs: 30_000 });
    expect(await manager.swarmState()).toBe('active');
    expect(await manager.engine.json('GET', '/configs/kept')).toMatchObject({ Spec: { Data: 'a2VwdA==' } });
    const again = await manager.engine.request('POST', '/swarm/unlock', { body: { UnlockKey: key } });
    expect([again.status, again.text.trim()]).toEqual([409, '{"message":"swarm is not locked"}']);
  });
});

function serviceSpec(generation: number): Record<string, unknown> {
  return {
    Name: 'counted',
    Labels: { generation: String(generation) },
    TaskTemplate: { ContainerSpec: { Image: 'none', Command: ['sleep', '1000'] } },
    Mode: { Replicated: { Replicas: 0 } },
  };
}

/** The status of the answer; `gone` when the daemon died before it answered. */
async function writes(engine: EngineClient, method: string, path: string, body?: unknown): Promise<number | 'gone'> {
  try {
    return (await engine.request(method, path, { body })).status;
  } catch {
    return 'gone';
  }
}
