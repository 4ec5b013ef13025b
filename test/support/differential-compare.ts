import { isDeepStrictEqual } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';

import { normalizeBody, normalizeJson, type Engine } from './differential.js';
import { member, type Row } from './differential-rows.js';

const POLL_MS = 100;
const SETTLE_MS = 400;
const WAIT_MAX_MS = 15_000;

/** An answer as it is compared. */
export interface Compared {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
}

/** Sends a row to one engine, waiting where the row says so, and remembers values for later rows. */
export async function ask(engine: Engine, row: Row): Promise<Compared> {
  const deadline = Date.now() + WAIT_MAX_MS;
  let before: unknown;
  for (;;) {
    const answer = await engine.send(row);
    const text = answer.body.toString('utf8');
    const body = parsed(text);
    const again = row.until?.(body) === false ? POLL_MS : row.settled === true && text !== before ? SETTLE_MS : 0;
    before = text;
    if (again > 0 && Date.now() < deadline) {
      await delay(again);
      continue;
    }
    for (const [name, path] of Object.entries(row.remember ?? {}))
      engine.values.set(name, String(member(body, ...path)));
    return {
      status: answer.status,
      headers: Object.fromEntries((row.headersCompared ?? []).map((name) => [name, answer.headers[name]])),
      body: row.pick === undefined ? normalizeBody(answer.body) : normalizeJson(row.pick(body)),
    };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What differs between the answers of both engines to one row, as readable lines; none when all is as it should be. */
export async function compare(row: Row, stock: Engine, ours: Engine): Promise<readonly string[]> {
  const [theirs, own] = await Promise.all([ask(stock, row), ask(ours, row)]);
  const label = `${row.method} ${row.path} ${row.body === undefined ? '' : JSON.stringify(row.body).slice(0, 300)}`;
  if (row.ours === undefined) return differences(theirs, own).map((line) => `${label}\n  ${line}`);
  const meant = { status: row.ours.status, headers: own.headers, body: row.ours.body };
  const found = differences(meant, own).map((line) => `${label} (${row.ours?.why})\n  ${line}`);
  return differences(theirs, own).length > 0 ? found : [...found, `${label}: no longer differs from stock`];
}

function differences(expected: unknown, actual: unknown, at = ''): readonly string[] {
  if (isDeepStrictEqual(expected, actual)) return [];
  if (isObject(expected) && isObject(actual) && Array.isArray(expected) === Array.isArray(actual)) {
    return [...new Set([...Object.keys(expected), ...Object.keys(actual)])].flatMap((key) =>
      differences(expected[key], actual[key], `${at}.${key}`),
    );
  }
  return [`${at}: expected ${shown(expected)}\n  ${' '.repeat(at.length)}  actual   ${shown(actual)}`];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? '(absent)').slice(0, 1000);
}
