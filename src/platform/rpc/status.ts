import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';

import { Code, SwarmError } from '../../base/index.js';

const CODE_MAX = 16;

/** Codes for replies that are not gRPC. Source: the gRPC specification, "HTTP to gRPC status code mapping". */
const CODES_BY_HTTP_STATUS: Readonly<Record<number, Code>> = {
  400: Code.INTERNAL,
  401: Code.UNAUTHENTICATED,
  403: Code.PERMISSION_DENIED,
  404: Code.UNIMPLEMENTED,
  429: Code.UNAVAILABLE,
  502: Code.UNAVAILABLE,
  503: Code.UNAVAILABLE,
  504: Code.UNAVAILABLE,
};

/** Names and codes of HTTP/2 errors. Source: the gRPC specification, "Errors"; names as grpc-go prints them. */
const RESETS: Readonly<Record<number, readonly [name: string, code: Code]>> = {
  [constants.NGHTTP2_NO_ERROR]: ['NO_ERROR', Code.INTERNAL],
  [constants.NGHTTP2_PROTOCOL_ERROR]: ['PROTOCOL_ERROR', Code.INTERNAL],
  [constants.NGHTTP2_INTERNAL_ERROR]: ['INTERNAL_ERROR', Code.INTERNAL],
  [constants.NGHTTP2_FLOW_CONTROL_ERROR]: ['FLOW_CONTROL_ERROR', Code.INTERNAL],
  [constants.NGHTTP2_STREAM_CLOSED]: ['STREAM_CLOSED', Code.INTERNAL],
  [constants.NGHTTP2_FRAME_SIZE_ERROR]: ['FRAME_SIZE_ERROR', Code.INTERNAL],
  [constants.NGHTTP2_REFUSED_STREAM]: ['REFUSED_STREAM', Code.UNAVAILABLE],
  [constants.NGHTTP2_CANCEL]: ['CANCEL', Code.CANCELED],
  [constants.NGHTTP2_COMPRESSION_ERROR]: ['COMPRESSION_ERROR', Code.INTERNAL],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: ['ENHANCE_YOUR_CALM', Code.RESOURCE_EXHAUSTED],
  [constants.NGHTTP2_INADEQUATE_SECURITY]: ['INADEQUATE_SECURITY', Code.PERMISSION_DENIED],
};

/** The trailers of a call that ended well (undefined) or with an error. */
export function statusTrailers(error: SwarmError | undefined): OutgoingHttpHeaders {
  if (error === undefined) return { 'grpc-status': '0' };
  return { 'grpc-status': String(error.code), 'grpc-message': encodeText(error.message) };
}

/** How a call ended by its trailers: undefined where they do not say. */
export function readStatus(trailers: IncomingHttpHeaders): { readonly error: SwarmError | undefined } | undefined {
  const status = trailers['grpc-status'];
  if (typeof status !== 'string') return undefined;
  if (status === '0') return { error: undefined };
  const message = trailers['grpc-message'];
  return { error: new SwarmError(codeOf(status), typeof message === 'string' ? decodeText(message) : '') };
}

/** The error that a reply stands for which is not gRPC. */
export function httpStatusError(httpStatus: number, contentType: string | undefined): SwarmError {
  const code = CODES_BY_HTTP_STATUS[httpStatus] ?? Code.UNKNOWN;
  return new SwarmError(
    code,
    `unexpected HTTP status code received from server: ${httpStatus}; content-type ${JSON.stringify(contentType ?? '')}`,
  );
}

/** The error that an HTTP/2 stream reset by the peer stands for. */
export function resetError(resetCode: number): SwarmError {
  const [name, code] = RESETS[resetCode] ?? [`0x${resetCode.toString(16)}`, Code.UNKNOWN];
  return new SwarmError(code, `stream terminated by RST_STREAM with error code: ${name}`);
}

function codeOf(status: string): Code {
  const code = /^\d+$/.test(status) ? Number(status) : Code.UNKNOWN;
  return code > CODE_MAX ? Code.UNKNOWN : (code as Code);
}

/** Percent-encodes what is not printable ASCII. Source: the gRPC specification, "Percent-Encoded". */
function encodeText(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** The opposite; what is not well encoded is left as it is, as the specification demands. */
function decodeText(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
