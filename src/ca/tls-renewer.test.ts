import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { IssuanceStatus_State, NodeRole, NodeSchema, type PeerRole } from '../api/index.js';
import { Code, SILENT_LOGGER, SwarmError } from '../base/index.js';
import { SeededRandom } from '../sim/index.js';
import { issueLocally } from './cluster-root.js';
import { checkCredentials, SecurityConfig, type Credentials } from './security-config.js';
import { renewalDelayMs, TlsRenewer, type CertificateUpdate } from './tls-renewer.js';
import { newRoot, testWorld, WORKER } from './world.test-helper.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('renewalDelayMs', () => {
  const calm = { forced: false, failures: 0, renewed: false };

  it('is a whole minute between 50 and 80 percent of the life', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 60, max: 200_000 }), (seed, minutes) => {
        const validity = { notBeforeMs: 0, notAfterMs: minutes * MINUTE };
        const delay = renewalDelayMs(validity, { ...calm, nowMs: 0 }, new SeededRandom(seed));
        expect(delay % MINUTE).toBe(0);
        expect(delay).toBeGreaterThanOrEqual(Math.floor(minutes * 0.5) * MINUTE);
        expect(delay).toBeLessThanOrEqual(minutes * 0.8 * MINUTE);
      }),
    );
  });

  it('spreads nodes over the whole window', () => {
    const random = new SeededRandom(5);
    const validity = { notBeforeMs: 0, notAfterMs: 100 * HOUR };
    const shares = Array.from(
      { length: 2_000 },
      () => renewalDelayMs(validity, { ...calm, nowMs: 0 }, random) / (100 * HOUR),
    );
    expect(Math.min(...shares)).toBeLessThan(0.505);
    expect(Math.max(...shares)).toBeGreaterThan(0.795);
    expect(shares.reduce((a, b) => a + b) / shares.length).toBeCloseTo(0.65, 1);
  });

  const validity = { notBeforeMs: 0, notAfterMs: 100 * HOUR };
  const random = new SeededRandom(1);

  it('is nothing once expired, asked for, or past the window', () => {
    expect(renewalDelayMs(validity, { ...calm, nowMs: 101 * HOUR }, random)).toBe(0);
    expect(renewalDelayMs(validity, { ...calm, nowMs: 0, forced: true }, random)).toBe(0);
    expect(renewalDelayMs(validity, { ...calm, nowMs: 90 * HOUR }, random)).toBe(0);
  });

  it('is five minutes when the certificate cannot be read', () => {
    expect(renewalDelayMs(undefined, { ...calm, nowMs: 0 }, random)).toBe(5 * MINUTE);
  });

  it('is at least a minute after a renewal, however strange the dates are', () => {
    expect(renewalDelayMs(validity, { ...calm, nowMs: 90 * HOUR, renewed: true }, random)).toBe(MINUTE);
  });

  it('grows with failures up to an hour', () => {
    const top = { bytes: () => new Uint8Array(), float: () => 0.999_999_999 };
    const bound = (failures: number): number =>
      Math.round(renewalDelayMs(validity, { nowMs: 0, forced: true, failures, renewed: false }, top) / 1_000);
    expect([1, 2, 3, 4, 9, 10, 11, 1_000].map(bound)).toEqual([10, 15, 25, 45, 1285, 2565, 3600, 3600]);
  });
});

async function renewing(options: { readonly validityMs?: number; readonly elapsedMs?: number } = {}) {
  const world = testWorld();
  const { clock, deps } = world;
  const { root } = await newRoot(world);
  const issue = (role: PeerRole = WORKER.role): Promise<Credentials> =>
    issueLocally(
      root,
      { ...WORKER, role },
      { ...deps, nowMs: clock.nowMs(), validityMs: options.validityMs ?? 90 * DAY },
    );
  const files = world.keyFiles();
  const first = await issue();
  await files.write(first.pair.certificatePem, first.pair.key);
  const security = new SecurityConfig(
    root,
    await checkCredentials(root, first.pair, { nowMs: clock.nowMs(), allowExpired: false }),
  );
  await clock.advance(options.elapsedMs ?? 0);
  const startMs = clock.nowMs();
  const updates: (CertificateUpdate & { readonly atMs: number })[] = [];
  const state: { failures: number; role: PeerRole; renewals: number } = { failures: 0, role: WORKER.role, renewals: 0 };
  const client = {
    async renew(): Promise<Credentials> {
      state.renewals++;
      if (state.failures-- > 0) throw new SwarmError(Code.UNAVAILABLE, 'nobody there');
      const next = await issue(state.role);
      await files.write(next.pair.certificatePem, next.pair.key);
      security.update(next);
      return next;
    },
  };
  const onUpdate = (update: CertificateUpdate): void => void updates.push({ ...update, atMs: clock.nowMs() - startMs });
  const renewer = new TlsRenewer({ ...deps, clock, security, keyFiles: files, client, log: SILENT_LOGGER, onUpdate });
  const stopper = new AbortController();
  const done = renewer.run(stopper.signal);
  await clock.settle();
  const stop = async (): Promise<void> => {
    stopper.abort(new Error('stopped'));
    await done;
  };
  return { ...world, renewer, security, updates, state, stop, files };
}

describe('TlsRenewer', () => {
  it('renews within the window, again and again', async () => {
    const { clock, updates, stop } = await renewing();
    await clock.advance(200 * DAY);
    const times = updates.map(({ atMs }) => atMs);
    expect(updates.every(({ kind }) => kind === 'renewed')).toBe(true);
    for (const [index, atMs] of times.entries()) {
      const age = atMs - (times[index - 1] ?? 0);
      expect(age).toBeGreaterThan(44 * DAY);
      expect(age).toBeLessThan(73 * DAY);
    }
    expect(times.length).toBeGreaterThanOrEqual(2);
    await stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it('renews at once what expired while the node was off, and goes on until it works', async () => {
    const { clock, updates, state, stop } = await renewing({ validityMs: HOUR, elapsedMs: 3 * HOUR });
    expect(updates).toMatchObject([{ kind: 'renewed', atMs: 0, role: NodeRole.WORKER }]);
    state.failures = 4;
    await clock.advance(2 * HOUR);
    expect(updates.filter(({ kind }) => kind === 'failed')).toHaveLength(4);
    expect(updates.at(-1)?.kind).toBe('renewed');
    await stop();
  });

  it('renews half a second after it is told to', async () => {
    const { clock, renewer, updates, stop, state } = await renewing();
    await clock.advance(DAY);
    renewer.renewNow();
    renewer.renewNow();
    await clock.advance(499);
    expect(updates).toEqual([]);
    await clock.advance(1);
    expect(updates).toMatchObject([{ kind: 'renewed', atMs: DAY + 500 }]);
    await clock.advance(DAY);
    expect(state.renewals).toBe(1);
    await stop();
  });

  it('renews once more when told to during a renewal, and no more', async () => {
    const { clock, renewer, stop, state } = await renewing();
    renewer.renewNow();
    await clock.advance(250);
    renewer.renewNow();
    await clock.advance(DAY);
    expect(state.renewals).toBe(2);
    await stop();
  });

  it('goes on after a forced renewal that failed', async () => {
    const { clock, renewer, updates, state, stop } = await renewing();
    state.failures = 3;
    renewer.renewNow();
    await clock.advance(HOUR);
    expect(updates.map(({ kind }) => kind)).toEqual(['failed', 'failed', 'failed', 'renewed']);
    await stop();
  });

  it('goes on until the certificate has the role that is expected, then reports it', async () => {
    const { clock, renewer, updates, state, stop } = await renewing();
    const promoted = create(NodeSchema, { spec: { desiredRole: NodeRole.MANAGER } });
    renewer.observe(promoted);
    await clock.advance(MINUTE);
    expect(updates).toEqual([]);
    expect(state.renewals).toBeGreaterThan(1);
    state.role = 'swarm-manager';
    await clock.advance(HOUR);
    expect(updates).toMatchObject([{ kind: 'renewed', role: NodeRole.MANAGER }]);
    const { renewals } = state;
    renewer.observe(promoted);
    await clock.advance(HOUR);
    expect(state.renewals).toBe(renewals);
    await stop();
  });

  it('renews when the CA asks for it', async () => {
    const { clock, renewer, updates, stop } = await renewing();
    renewer.observe(create(NodeSchema, { certificate: { status: { state: IssuanceStatus_State.ISSUED } } }));
    await clock.advance(HOUR);
    expect(updates).toEqual([]);
    renewer.observe(create(NodeSchema, { certificate: { status: { state: IssuanceStatus_State.ROTATE } } }));
    await clock.advance(500);
    expect(updates).toMatchObject([{ kind: 'renewed' }]);
    await stop();
  });

  it('replaces a damaged file when told to renew', async () => {
    const { clock, disk, files, renewer, stop } = await renewing();
    await disk.writeFileAtomic('/c/swarm-node.crt', new Uint8Array(3), 0o644);
    renewer.renewNow();
    await clock.advance(500);
    expect((await files.read()).chain[0].commonName).toBe('w1');
    await stop();
  });

  it('stops in every state', async () => {
    const waiting = await renewing();
    await waiting.stop();
    const pausing = await renewing();
    pausing.renewer.renewNow();
    await pausing.clock.settle();
    await pausing.stop();
    expect([waiting.clock.pendingTimers, pausing.clock.pendingTimers]).toEqual([0, 0]);
  });
});

it('an unreadable certificate at the start is reported and replaced after five minutes', async () => {
  const world = testWorld();
  const { root } = await newRoot(world);
  const credentials = await issueLocally(root, WORKER, { ...world.deps, nowMs: world.clock.nowMs() });
  const updates: string[] = [];
  const renewer = new TlsRenewer({
    ...world.deps,
    clock: world.clock,
    security: new SecurityConfig(root, credentials),
    keyFiles: world.keyFiles(),
    client: { renew: async () => credentials },
    log: SILENT_LOGGER,
    onUpdate: (update) => void updates.push(`${update.kind} ${world.clock.monotonicMs()}`),
  });
  const stopper = new AbortController();
  const done = renewer.run(stopper.signal);
  await world.clock.advance(5 * MINUTE);
  expect(updates.slice(0, 2)).toEqual(['failed 0', `renewed ${5 * MINUTE}`]);
  stopper.abort(new Error('stopped'));
  await done;
});
