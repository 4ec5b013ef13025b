import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Engine, missingForDifferential } from './support/differential.js';
import { compare } from './support/differential-compare.js';
import type { Row } from './support/differential-rows.js';
import { CREATE, GATES, REFUSED, SECRETS, UPDATES } from './support/differential-services.js';
import {
  AUTOLOCK,
  FORCED,
  LOCKED,
  LOCKED_LEAVE,
  NODES,
  OUTSIDE,
  PLAIN,
  RESTARTED,
  SWARM,
} from './support/differential-swarm.js';
import { EVENTS, TASKS } from './support/differential-tasks.js';

const missing = missingForDifferential();

if (missing !== undefined && process.env['CI'] === 'true') {
  test('the comparison can run here', () => {
    throw new Error(`the comparison with a stock engine ${missing}`);
  });
}

/** The same requests to a stock dockerd and to our daemon: whatever differs without a reason given is a failure. */
describe.skipIf(missing !== undefined)(
  `the Engine API answers as a stock engine does${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let stock: Engine;
    let ours: Engine;

    beforeAll(async () => {
      [stock, ours] = await Promise.all([Engine.stock(), Engine.ours()]);
    });

    afterAll(async () => {
      await Promise.all([stock, ours].map((engine) => engine?.[Symbol.asyncDispose]()));
    });

    /** Rows build on each other, so all are sent and all differences are shown. */
    async function expectSame(rows: readonly Row[]): Promise<void> {
      const found: string[] = [];
      for (const row of rows) found.push(...(await compare(row, stock, ours)));
      expect(found.join('\n')).toBe('');
    }

    async function restart(): Promise<void> {
      await Promise.all([stock, ours].map((engine) => engine.stop()));
      await Promise.all([stock, ours].map((engine) => engine.start()));
    }

    async function freshSwarm(): Promise<void> {
      const leave = { method: 'POST', path: '/swarm/leave?force=1' };
      await Promise.all([stock, ours].map((engine) => engine.send(leave)));
      await expectSame(PLAIN);
      for (const engine of [stock, ours]) engine.values.set('started', (Date.now() / 1000).toFixed(3));
    }

    test('outside of a swarm', () => expectSame(OUTSIDE));

    test('a swarm from init to leave, and its nodes', async () => {
      await expectSame(SWARM);
      await expectSame(NODES);
    });

    test('services: every field, every refusal, older API versions, updates', async () => {
      await freshSwarm();
      for (const rows of [CREATE, REFUSED, GATES, UPDATES]) await expectSame(rows);
    });

    test('secrets and configs', async () => {
      await freshSwarm();
      await expectSame(SECRETS);
    });

    test('tasks, logs and events', async () => {
      await freshSwarm();
      await expectSame(TASKS);
      await expectSame(EVENTS);
    });

    test('a restart, and a cluster begun anew from its data', async () => {
      await freshSwarm();
      await expectSame(FORCED);
      await restart();
      await expectSame(RESTARTED);
    });

    test('a locked manager', async () => {
      await Promise.all([stock, ours].map((engine) => engine.send({ method: 'POST', path: '/swarm/leave?force=1' })));
      await expectSame(AUTOLOCK);
      await restart();
      await expectSame(LOCKED);
      await restart();
      await expectSame(LOCKED_LEAVE);
    });
  },
);
