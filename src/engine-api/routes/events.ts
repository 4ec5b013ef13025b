import { canceled, LinkedController, sleep } from '../../base/index.js';
import {
  ApiError,
  Filters,
  printJson,
  unixNanoseconds,
  type HttpRequest,
  type HttpResponse,
  type Route,
} from '../http/index.js';
import type { RouteContext } from './context.js';
import type { EngineEvent } from './cluster-event.js';
import type { EventLog } from './event-log.js';

/** Kinds of objects by which events are filtered. */
const KINDS = ['node', 'service', 'secret', 'config', 'network', 'container', 'volume', 'plugin', 'daemon'];

/** The `/events` route (engine-api E-274, E-275). */
export function eventRoutes(context: RouteContext, log: EventLog): readonly Route[] {
  return [{ method: 'GET', path: '/events', handler: async (request) => streamEvents(context, log, request) }];
}

function streamEvents(context: RouteContext, log: EventLog, request: HttpRequest): HttpResponse {
  const sinceNs = timeOf(request, 'since');
  const untilNs = timeOf(request, 'until');
  if (untilNs !== undefined && untilNs < (sinceNs ?? 0n)) {
    const [since, until] = [request.query.get('since') ?? '', request.query.get('until') ?? ''];
    throw new ApiError('invalid-parameter', `\`since\` time (${since}) cannot be after \`until\` time (${until})`);
  }
  const filters = Filters.parse(request.query);
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
    body: eventChunks(context, log, request, filters, sinceNs, untilNs),
  };
}

/** Nanoseconds since the epoch; undefined when absent. */
function timeOf(request: HttpRequest, name: string): bigint | undefined {
  const given = request.query.get(name) ?? '';
  return given === '' ? undefined : unixNanoseconds(given);
}

async function* eventChunks(
  context: RouteContext,
  log: EventLog,
  request: HttpRequest,
  filters: Filters,
  sinceNs: bigint | undefined,
  untilNs: bigint | undefined,
): AsyncIterable<string> {
  const nowNs = BigInt(Math.floor(context.clock.nowMs() * 1e6));
  using subscription = log.subscribe();
  const inTime = (event: EngineEvent): boolean => untilNs === undefined || event.timeNano <= untilNs;
  if (sinceNs !== undefined || untilNs !== undefined) {
    for (const event of log.history()) {
      if (event.timeNano >= (sinceNs ?? 0n) && inTime(event) && matches(event, filters)) yield line(event);
    }
  }
  if (untilNs !== undefined && untilNs <= nowNs) return;
  using ending = new LinkedController(request.signal);
  if (untilNs !== undefined) {
    const remainingMs = Number((untilNs - nowNs) / 1_000_000n);
    sleep(context.clock, remainingMs, ending.signal).then(
      () => ending.abort(canceled('the event stream')),
      () => undefined,
    );
  }
  try {
    for await (const event of subscription.iterate(ending.signal)) if (matches(event, filters)) yield line(event);
  } catch (error) {
    if (!ending.signal.aborted) throw error;
  }
}

function line(event: EngineEvent): string {
  return `${printJson({
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: event.attributes },
    scope: event.scope,
    time: event.timeNano / 1_000_000_000n,
    timeNano: event.timeNano,
  })}\n`;
}

function matches(event: EngineEvent, filters: Filters): boolean {
  const isOneOf = (key: string, value: string): boolean => !filters.has(key) || filters.get(key).includes(value);
  if (!isOneOf('type', event.type) || !isOneOf('event', event.action) || !isOneOf('scope', event.scope)) return false;
  for (const [key, value] of Object.entries(filters.labels('label'))) {
    const actual = event.attributes[key];
    if (actual === undefined || (value !== '' && actual !== value)) return false;
  }
  return isOneOf('image', event.id) && matchesActor(event, filters);
}

/** Every filter by kind of object must match the id or the name by a prefix, whatever the event's own kind. */
function matchesActor(event: EngineEvent, filters: Filters): boolean {
  const name = event.attributes['name'] ?? '';
  return KINDS.filter((kind) => filters.has(kind)).every((kind) =>
    filters.get(kind).some((given) => event.id.startsWith(given) || name.startsWith(given)),
  );
}
