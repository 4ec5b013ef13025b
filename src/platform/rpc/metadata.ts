import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';

import type { CallHead } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';

const CONTENT_TYPE = 'application/grpc';
const USER_AGENT = 'grpc-swarmkit-ts';

/** Headers of the protocol, which are not metadata. */
const RESERVED = /^(:|grpc-|te$|content-type$|user-agent$|connection$)/;

/** Units of `grpc-timeout` in milliseconds, smallest first. Source: the gRPC specification. */
const TIMEOUT_UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['n', 1e-6],
  ['u', 1e-3],
  ['m', 1],
  ['S', 1000],
  ['M', 60_000],
  ['H', 3_600_000],
];

/** The specification allows eight digits. */
const TIMEOUT_MAX = 99_999_999;

/** Headers of every reply that is gRPC. */
export const REPLY_HEADERS: OutgoingHttpHeaders = { ':status': 200, 'content-type': CONTENT_TYPE };

/** The headers that open a call. */
export function requestHeaders(head: CallHead, authority: string, scheme: string): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ':method': 'POST',
    ':scheme': scheme,
    ':path': head.path,
    ':authority': authority,
    'content-type': CONTENT_TYPE,
    'user-agent': USER_AGENT,
    te: 'trailers',
  };
  if (head.timeoutMs !== undefined) headers['grpc-timeout'] = encodeTimeout(head.timeoutMs);
  for (const [name, value] of head.metadata) {
    if (RESERVED.test(name)) continue;
    if (!/^[0-9a-z_.-]+$/.test(name) || !/^[ -~]*$/.test(value)) {
      throw new SwarmError(Code.INTERNAL, `header ${JSON.stringify(name)} is not printable ASCII`);
    }
    headers[name] = value;
  }
  return headers;
}

/** The metadata of a received call. */
export function readMetadata(headers: IncomingHttpHeaders): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  for (const name of Object.keys(headers)) {
    if (RESERVED.test(name)) continue;
    const value = headers[name];
    if (value !== undefined) metadata.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return metadata;
}

/** Whether a content type announces gRPC with protobuf messages. */
export function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(\+proto)?(;|$)/.test(contentType);
}

/** The compression that a header declares; empty for none. */
export function readEncoding(headers: IncomingHttpHeaders): string {
  const encoding = headers['grpc-encoding'];
  return typeof encoding === 'string' && encoding !== 'identity' ? encoding : '';
}

/** The deadline that the caller sent, in milliseconds from now. */
export function readTimeout(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['grpc-timeout'];
  if (typeof text !== 'string') return undefined;
  const match = /^(\d{1,8})([numSMH])$/.exec(text);
  const unit = TIMEOUT_UNITS.find(([name]) => name === match?.[2]);
  if (match === null || unit === undefined) {
    throw new SwarmError(Code.INTERNAL, `malformed grpc-timeout: ${JSON.stringify(text)}`);
  }
  return Number(match[1]) * unit[1];
}

/** A timeout in the finest unit from milliseconds up that has room for it, never shortened. */
export function encodeTimeout(timeoutMs: number): string {
  for (const [unit, ms] of TIMEOUT_UNITS) {
    const count = Math.max(0, Math.ceil(timeoutMs / ms));
    if (ms >= 1 && count <= TIMEOUT_MAX) return `${count}${unit}`;
  }
  return `${TIMEOUT_MAX}H`;
}
