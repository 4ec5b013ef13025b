import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Code } from '../base/index.js';
import { SimDisk } from '../sim/index.js';
import { createCluster, issueLocally } from './cluster-root.js';
import { KeyFiles, type Kek } from './key-files.js';
import { generateKey, keyPem } from './keys.js';
import { parseOnePem } from './pem.js';
import { RootCa } from './root-ca.js';
import { checkCredentials, loadSecurity, SecurityConfig } from './security-config.js';
import { tlsProblemOf } from './tls-problem.js';
import { bytes, HAS_OPENSSL, MANAGER, newRoot, openssl, testWorld, text, WORKER } from './world.test-helper.js';

const KEY = '/c/swarm-node.key';
const CERT = '/c/swarm-node.crt';
const ROOT = '/c/swarm-root-ca.crt';
const DAY = 24 * 3_600_000;

async function written(kek?: Kek) {
  const world = testWorld();
  const files = world.keyFiles();
  const nowMs = world.clock.nowMs();
  const { root } = await newRoot(world);
  const { pair } = await issueLocally(root, WORKER, { ...world.deps, nowMs });
  await files.writeRoot(root.bundle);
  await files.write(pair.certificatePem, pair.key, kek);
  const put = (path: string, content: string | Uint8Array): Promise<void> =>
    world.disk.writeFileAtomic(path, typeof content === 'string' ? bytes(content) : content, 0o600);
  const get = async (path: string): Promise<string> => text(await world.disk.readFile(path));
  const load = (unlockKey?: Uint8Array, atMs = nowMs) =>
    loadSecurity(world.keyFiles(unlockKey), world.deps, { nowMs: atMs, allowExpired: false });
  return { ...world, files, root, pair, put, get, load, nowMs };
}

const problemOf = async (promise: Promise<unknown>): Promise<string | undefined> =>
  tlsProblemOf(await promise.then(() => undefined).catch((error: unknown) => error));

describe('certificate files', () => {
  it('are found again as they were written', async () => {
    const { pair, load, root, get } = await written();
    const loaded = await load();
    if (loaded.kind !== 'loaded') throw new Error(loaded.kind);
    const { security } = loaded;
    expect(security.current()).toEqual({
      certificatePem: pair.certificatePem,
      privateKeyPem: keyPem(pair.key),
      rootPem: root.bundlePem,
      peer: WORKER,
    });
    expect(security.tlsInfo.trustRoot).toEqual(root.bundle);
    expect(security.tlsInfo.certIssuerSubject).toEqual(root.issuer?.subject);
    expect(await get(KEY)).toContain('-----BEGIN PRIVATE KEY-----\nkek-version: 0\n\n');
  });

  it('have the modes of secrets and of what all may read', async () => {
    const modes: Record<string, number> = {};
    const world = testWorld();
    const write = world.disk.writeFileAtomic.bind(world.disk);
    world.disk.writeFileAtomic = (path, data, mode) => {
      modes[path] = mode;
      return write(path, data, mode);
    };
    await createCluster({ nowMs: world.clock.nowMs(), fips: false }, { ...world.deps, keyFiles: world.keyFiles() });
    expect(modes).toEqual({ [ROOT]: 0o644, '/c/.swarm-node.crt': 0o644, [KEY]: 0o600 });
  });

  it('say what is missing', async () => {
    const { load, disk } = await written();
    await disk.remove(KEY);
    expect((await load()).kind).toBe('no-certificate');
    await disk.remove(ROOT);
    expect((await load()).kind).toBe('no-root');
  });

  it('are cleared whole', async () => {
    const { files, load, disk } = await written({ key: bytes('k'), version: 3n });
    await files.clear();
    expect((await load()).kind).toBe('no-root');
    expect(await disk.list('/c')).toEqual([]);
    expect(files.kek).toEqual({ key: undefined, version: 0n });
  });

  it('name the problem and what to do about it', async () => {
    const { load, put, root, nowMs, deps, get } = await written();
    const [key, certificate] = [await get(KEY), await get(CERT)];
    await put(KEY, 'garbage');
    await expect(load()).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message:
        '/c/swarm-node.key is damaged (the node key holds no PEM block): restore it from a backup, or leave the cluster and join again',
    });
    await put(KEY, key.replace(/[A-Za-z0-9+/]{20}\n-----END/, '\n-----END'));
    expect(await problemOf(load())).toBe('damaged');
    await put(KEY, key);
    await put(CERT, certificate.slice(0, 100));
    expect(await problemOf(load())).toBe('damaged');
    const other = await issueLocally(root, WORKER, { ...deps, nowMs });
    await put(CERT, other.pair.certificatePem);
    await expect(load()).rejects.toMatchObject({ message: expect.stringContaining('do not belong together') });
    await put(CERT, certificate);
    await put(ROOT, 'garbage');
    await expect(load()).rejects.toMatchObject({
      message: expect.stringContaining('the root CA certificate is damaged'),
    });
    await put(ROOT, (await RootCa.create(deps, nowMs)).root.bundle);
    await expect(load()).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('is not signed by a trusted root: leave the cluster and join again'),
    });
    await put(ROOT, root.bundle);
    expect(await problemOf(load(undefined, nowMs + 91 * DAY))).toBe('expired');
    await expect(load(undefined, nowMs - DAY / 2)).rejects.toMatchObject({
      message: expect.stringContaining('check the clock of this machine'),
    });
    expect((await load()).kind).toBe('loaded');
  });

  it('refuse a certificate that names no node', async () => {
    const { root, deps, nowMs } = await written();
    const error = await issueLocally(root, { ...WORKER, role: 'other' as 'swarm-worker' }, { ...deps, nowMs }).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(Error);
  });
});

describe('a crash while a new pair is written', () => {
  it('leaves a pair that fits, at every point', async () => {
    const base = await written();
    const next = await issueLocally(base.root, MANAGER, { ...base.deps, nowMs: base.nowMs });
    const outcomes = new Set<string>();
    for (let crashAt = 0; crashAt < 30; crashAt++) {
      const disk = new SimDisk();
      const files = new KeyFiles({ directory: '/c' }, { ...base.deps, disk });
      await files.writeRoot(base.root.bundle);
      await files.write(base.pair.certificatePem, base.pair.key);
      await files.updateHeaders(() => new Map([['raft-dek', 'secret']]));
      let operations = 0;
      disk.intercept = () => {
        if (operations++ === crashAt) throw new Error('crashed');
      };
      const finished = await files
        .write(next.pair.certificatePem, next.pair.key)
        .then(() => true)
        .catch(() => false);
      const after = new KeyFiles({ directory: '/c' }, { ...base.deps, disk: disk.crash() });
      const found = await after.read();
      const which = found.certificatePem === next.pair.certificatePem ? 'new' : 'old';
      expect((await after.headers()).get('raft-dek')).toBe('secret');
      if (finished) expect(which).toBe('new');
      outcomes.add(which);
      if (finished) break;
    }
    expect([...outcomes].sort()).toEqual(['new', 'old']);
  });
});

describe('the key-encrypting key', () => {
  const kek: Kek = { key: bytes('0123456789abcdef0123456789abcdef'), version: 7n };

  it('locks the files', async () => {
    const { load, get } = await written(kek);
    expect(await get(KEY)).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\nkek-version: 7\n\n/);
    expect((await load(kek.key)).kind).toBe('loaded');
    expect(await problemOf(load())).toBe('locked');
    expect(await problemOf(load(bytes('wrong')))).toBe('locked');
  });

  it('is known with its version after a restart', async () => {
    const world = await written(kek);
    const files = world.keyFiles(kek.key);
    await files.read();
    expect(files.kek).toEqual(kek);
  });

  it('is replaced by a newer one only', async () => {
    const { files, load, get } = await written(kek);
    expect(await files.rotateKek({ key: bytes('other'), version: 6n })).toBe(false);
    expect(await files.rotateKek(kek)).toBe(false);
    await expect(files.rotateKek({ key: bytes('other'), version: 7n })).rejects.toThrow(
      'the same version as the current KEK',
    );
    expect(await files.rotateKek({ key: bytes('other'), version: 8n })).toBe(true);
    expect((await load(bytes('other'))).kind).toBe('loaded');
    expect(await problemOf(load(kek.key))).toBe('locked');
    expect(await files.rotateKek({ key: undefined, version: 9n })).toBe(true);
    expect(await get(KEY)).toContain('-----BEGIN PRIVATE KEY-----\nkek-version: 9\n');
    expect((await load()).kind).toBe('loaded');
  });

  it('stays when a new pair is written, and changes with it where told', async () => {
    const { files, root, deps, nowMs, load } = await written(kek);
    const next = await issueLocally(root, MANAGER, { ...deps, nowMs });
    await files.write(next.pair.certificatePem, next.pair.key);
    expect(await problemOf(load())).toBe('locked');
    await files.write(next.pair.certificatePem, next.pair.key, { key: undefined, version: 8n });
    expect((await load()).kind).toBe('loaded');
  });

  it('has the headers encrypted anew by their owner whenever it changes', async () => {
    const { files, root, deps, nowMs } = await written();
    const seen: string[] = [];
    files.setRewrap((headers, from, to) => {
      seen.push(`${from.version} to ${to.version}`);
      return new Map([...headers].map(([name, value]) => [name, `${value}@${to.version}`]));
    });
    await files.updateHeaders(() => new Map([['raft-dek', 'a']]));
    await files.rotateKek(kek);
    const next = await issueLocally(root, MANAGER, { ...deps, nowMs });
    await files.write(next.pair.certificatePem, next.pair.key);
    await files.write(next.pair.certificatePem, next.pair.key, { key: undefined, version: 9n });
    expect(seen).toEqual(['0 to 7', '7 to 9']);
    expect([...(await files.headers())]).toEqual([['raft-dek', 'a@7@9']]);
  });

  it.skipIf(!HAS_OPENSSL)('encrypts a key that was written in an older form', async () => {
    const { put, files, pair } = await written();
    await put(KEY, openssl(['pkey', '-in', '@k', '-traditional'], { k: keyPem(pair.key) }));
    expect((await files.read()).key.spki).toEqual(pair.key.spki);
    await files.rotateKek(kek);
    expect((await files.read()).key.spki).toEqual(pair.key.spki);
  });

  it('does not read the old PEM encryption, and says so', async () => {
    const { put, load } = await written();
    await put(
      KEY,
      '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAEC\n-----END EC PRIVATE KEY-----\n',
    );
    await expect(load(kek.key)).rejects.toMatchObject({ message: expect.stringContaining('old PEM form') });
  });
});

describe('headers of the key', () => {
  it('survive every rewrite, locked or not, and the key survives them', async () => {
    const name = fc.stringMatching(/^[a-z][a-z-]{0,12}$/).filter((value) => value !== 'kek-version');
    const value = fc.stringMatching(/^[A-Za-z0-9+/=]{0,60}$/);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('headers' as const), headers: fc.dictionary(name, value, { maxKeys: 4 }) }),
      fc.record({ kind: fc.constant('kek' as const), key: fc.option(fc.uint8Array({ minLength: 1, maxLength: 32 })) }),
      fc.record({ kind: fc.constant('write' as const) }),
    );
    const { root, deps, nowMs } = await written();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const files = new KeyFiles({ directory: '/c' }, { ...deps, disk: new SimDisk() });
        let { pair } = await issueLocally(root, MANAGER, { ...deps, nowMs });
        await files.write(pair.certificatePem, pair.key);
        let [expected, version]: [Record<string, string>, bigint] = [{}, 0n];
        for (const one of steps) {
          if (one.kind === 'headers')
            await files.updateHeaders(() => new Map(Object.entries((expected = one.headers))));
          else if (one.kind === 'kek') await files.rotateKek({ key: one.key ?? undefined, version: ++version });
          else {
            ({ pair } = await issueLocally(root, MANAGER, { ...deps, nowMs }));
            await files.write(pair.certificatePem, pair.key);
          }
          expect(Object.fromEntries(await files.headers())).toEqual({ ...expected });
          expect(Buffer.compare((await files.read()).key.pkcs8, pair.key.pkcs8)).toBe(0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('cannot touch what the file keeps for itself', async () => {
    const { files, get } = await written();
    await files.updateHeaders((headers) => new Map([...headers, ['kek-version', '99'], ['DEK-Info', 'x'], ['a', 'b']]));
    expect(parseOnePem(await get(KEY), 'x').headers).toEqual(
      new Map([
        ['a', 'b'],
        ['kek-version', '0'],
      ]),
    );
  });

  it('are changed one after the other, so that none is lost', async () => {
    const { files } = await written();
    await Promise.all(
      ['a', 'b', 'c'].map((name) => files.updateHeaders((headers) => new Map([...headers, [name, '1']]))),
    );
    expect([...(await files.headers()).keys()]).toEqual(['a', 'b', 'c']);
  });

  it('go on after a write that failed', async () => {
    const { files, disk } = await written();
    disk.failNext('write', 'ENOSPC');
    await expect(files.updateHeaders(() => new Map([['a', '1']]))).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
    });
    await files.updateHeaders(() => new Map([['b', '1']]));
    expect([...(await files.headers()).keys()]).toEqual(['b']);
  });
});

describe('SecurityConfig', () => {
  it('tells all who listen of every change, until they stop', async () => {
    const { root, pair, deps, nowMs } = await written();
    const time = { nowMs, allowExpired: false };
    const security = new SecurityConfig(root, await checkCredentials(root, pair, time));
    let calls = 0;
    const listener = (): void => void calls++;
    const [first, second] = [security.subscribe(listener), security.subscribe(listener)];
    const next = await issueLocally(root, MANAGER, { ...deps, nowMs });
    security.update(next);
    expect(calls).toBe(2);
    expect(security.current().peer).toEqual(MANAGER);
    first[Symbol.dispose]();
    security.update(next);
    second[Symbol.dispose]();
    security.update(next);
    expect(calls).toBe(3);
  });

  it('trusts a new root only if its own certificate stays good', async () => {
    const { root, pair, deps, nowMs } = await written();
    const security = new SecurityConfig(root, await checkCredentials(root, pair, { nowMs, allowExpired: false }));
    const other = (await RootCa.create(deps, nowMs)).root;
    await expect(security.updateRoot(other, nowMs)).rejects.toThrow(
      'new root CA does not match existing TLS credentials',
    );
    expect(security.rootCa).toBe(root);
    const both = await RootCa.load(deps, { bundle: bytes(root.bundlePem + other.bundlePem) }, nowMs);
    await security.updateRoot(both, nowMs);
    expect(security.current().rootPem).toBe(both.bundlePem);
  });
});

it('a key for one certificate is not taken for another', async () => {
  const { files, pair, deps } = await written();
  await files.write(pair.certificatePem, await generateKey(deps.crypto));
  expect(await problemOf(files.read())).toBe('mismatch');
});
