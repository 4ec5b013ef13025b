import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { TimestampSchema, type Timestamp } from '@bufbuild/protobuf/wkt';

import {
  LogSelectorSchema,
  LogStream,
  type LogMessage,
  type LogSelector,
  type SubscribeLogsRequestSchema,
} from '../../api/index.js';
import { errorText, SwarmError } from '../../base/index.js';
import {
  ApiError,
  looseBoolean,
  unixNanoseconds,
  type HttpRequest,
  type HttpResponse,
  type Route,
} from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';
import { resolveService, resolveTask } from './resolve.js';

const CONTEXT_PREFIX = 'com.docker.swarm';

/** First byte of a frame: which stream the text belongs to (engine-api E-234). */
const FRAME_TYPE = { stdout: 1, stderr: 2, system: 3 } as const;

const FRAME_HEADER_BYTES = 8;

/** Log routes of services and tasks (engine-api E-226, E-233 to E-235). */
export function logRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/services/:id/logs', handler: (request) => serviceLogs(context, request) },
    { method: 'GET', path: '/tasks/:id/logs', handler: (request) => taskLogs(context, request) },
  ];
}

async function serviceLogs(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const given = parseOptions(request);
  const { control, options } = managerCall(context, request);
  const service = await resolveService(control, request.params['id'] ?? '', false, options);
  const runtime = service.spec?.task?.runtime;
  if (runtime?.case !== 'container') throw new ApiError('system', 'logs only supported on container tasks');
  const selector = create(LogSelectorSchema, { serviceIds: [service.id] });
  return logResponse(context, request, selector, given, runtime.value.tty);
}

async function taskLogs(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const given = parseOptions(request);
  const { control, options } = managerCall(context, request);
  const task = await resolveTask(control, request.params['id'] ?? '', options);
  const runtime = task.spec?.runtime;
  if (runtime?.case !== 'container') throw new ApiError('system', 'logs only supported on container tasks');
  const selector = create(LogSelectorSchema, { taskIds: [task.id] });
  return logResponse(context, request, selector, given, runtime.value.tty);
}

interface LogOptions {
  readonly subscription: MessageInitShape<typeof SubscribeLogsRequestSchema>['options'];
  readonly timestamps: boolean;
  readonly details: boolean;
}

function parseOptions(request: HttpRequest): LogOptions {
  const { query } = request;
  const streams = [
    ...(looseBoolean(query, 'stdout') ? [LogStream.STDOUT] : []),
    ...(looseBoolean(query, 'stderr') ? [LogStream.STDERR] : []),
  ];
  if (streams.length === 0) throw new ApiError('system', 'Bad parameters: you must choose at least one stream');
  const tail = tailOf(query.get('tail') ?? '');
  const since = sinceOf(query.get('since') ?? '');
  return {
    subscription: {
      streams,
      follow: looseBoolean(query, 'follow'),
      tail,
      ...(since === undefined ? {} : { since }),
    },
    timestamps: looseBoolean(query, 'timestamps'),
    details: looseBoolean(query, 'details'),
  };
}

/** Docker counts lines; SwarmKit takes 0 for all and -(n + 1) for the last n. */
function tailOf(given: string): bigint {
  if (given === '' || given === 'all') return 0n;
  if (!/^[+-]?\d{1,18}$/.test(given)) throw new ApiError('system', 'tail value must be a positive integer or "all"');
  const lines = BigInt(given);
  if (lines < 0n) throw new ApiError('system', 'negative tail values not supported');
  return -(lines + 1n);
}

function sinceOf(given: string): Timestamp | undefined {
  if (given === '') return undefined;
  try {
    const nanoseconds = unixNanoseconds(given);
    return nanoseconds <= 0n ? undefined : timestampFromNs(nanoseconds);
  } catch (error) {
    throw new ApiError('system', `could not parse since timestamp: ${errorText(error)}`, error);
  }
}

function timestampFromNs(nanoseconds: bigint): Timestamp {
  return create(TimestampSchema, {
    seconds: nanoseconds / 1_000_000_000n,
    nanos: Number(nanoseconds % 1_000_000_000n),
  });
}

function logResponse(
  context: RouteContext,
  request: HttpRequest,
  selector: LogSelector,
  given: LogOptions,
  tty: boolean,
): HttpResponse {
  const multiplexed = !tty && !request.version.lessThan('1.42');
  const contentType = `application/vnd.docker.${multiplexed ? 'multiplexed' : 'raw'}-stream`;
  return {
    status: 200,
    headers: { 'Content-Type': contentType },
    body: logChunks(context, request, { selector, options: given.subscription }, given, tty),
  };
}

async function* logChunks(
  context: RouteContext,
  request: HttpRequest,
  subscribe: MessageInitShape<typeof SubscribeLogsRequestSchema>,
  given: LogOptions,
  tty: boolean,
): AsyncIterable<Uint8Array> {
  const { manager } = managerCall(context, request);
  try {
    for await (const { messages } of manager.logs.subscribeLogs(subscribe, { signal: request.signal })) {
      for (const message of messages) yield frame(tty, streamType(message), logLine(message, given));
    }
  } catch (error) {
    if (request.signal.aborted) return;
    // The headers are out: what goes wrong now can only be said inside the stream.
    const reason = error instanceof SwarmError ? error.rpcText : errorText(error);
    yield frame(tty, FRAME_TYPE.system, new TextEncoder().encode(`Error grabbing logs: ${reason}\n`));
  }
}

function streamType(message: LogMessage): number {
  return message.stream === LogStream.STDERR ? FRAME_TYPE.stderr : FRAME_TYPE.stdout;
}

/** `[timestamp ][details ]message` */
function logLine(message: LogMessage, given: LogOptions): Uint8Array {
  const prefix = `${given.timestamps ? `${fixedTime(message)} ` : ''}${given.details ? `${detailsOf(message)} ` : ''}`;
  if (prefix === '') return message.data;
  const head = new TextEncoder().encode(prefix);
  const line = new Uint8Array(head.length + message.data.length);
  line.set(head);
  line.set(message.data, head.length);
  return line;
}

/** RFC 3339 with always nine digits. */
function fixedTime({ timestamp }: LogMessage): string {
  const whole = new Date(Number(timestamp?.seconds ?? 0n) * 1000).toISOString().slice(0, 19);
  return `${whole}.${(timestamp?.nanos ?? 0).toString().padStart(9, '0')}Z`;
}

/** Whose line it is and what the executor added, keys sorted; a user's attribute never hides the context. */
function detailsOf(message: LogMessage): string {
  const details = new Map(message.attrs.map(({ key, value }) => [key, value]));
  details.set(`${CONTEXT_PREFIX}.node.id`, message.context?.nodeId ?? '');
  details.set(`${CONTEXT_PREFIX}.service.id`, message.context?.serviceId ?? '');
  details.set(`${CONTEXT_PREFIX}.task.id`, message.context?.taskId ?? '');
  return [...details.keys()]
    .sort()
    .map((key) => `${encodeURIComponent(key)}=${encodeURIComponent(details.get(key) ?? '')}`)
    .join(',');
}

function frame(tty: boolean, type: number, data: Uint8Array): Uint8Array {
  if (tty) return data;
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + data.length);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(4, data.length);
  bytes.set(data, FRAME_HEADER_BYTES);
  return bytes;
}
