import { Code, SwarmError } from '../base/index.js';

/** One block of a PEM file. Headers belong to keys only; certificates have none. */
export interface PemBlock {
  readonly type: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly der: Uint8Array;
}

/** Characters of base64 in a line. Source: RFC 7468. */
const LINE_LENGTH = 64;

/** Larger files are no keys or certificates of ours. A root bundle is far below it. */
const PEM_BYTES_MAX = 1024 * 1024;

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n([\s\S]*?)-----END \1-----/g;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** All blocks of a PEM text, in order; text between them is ignored. InvalidArgument where a block is damaged. */
export function parsePem(text: string | Uint8Array, what: string): readonly PemBlock[] {
  if (text.length > PEM_BYTES_MAX) throw damaged(what, `is larger than ${PEM_BYTES_MAX} bytes`);
  const source = typeof text === 'string' ? text : new TextDecoder().decode(text);
  const blocks: PemBlock[] = [];
  for (const match of source.matchAll(BLOCK)) blocks.push(parseBlock(match[1] ?? '', match[2] ?? '', what));
  return blocks;
}

/** The only block of a PEM text. InvalidArgument when there is none or more than one. */
export function parseOnePem(text: string | Uint8Array, what: string): PemBlock {
  const blocks = parsePem(text, what);
  const [block] = blocks;
  if (block === undefined) throw damaged(what, 'holds no PEM block');
  if (blocks.length > 1) throw damaged(what, `holds ${blocks.length} PEM blocks, expected one`);
  return block;
}

/** A block as text, byte for byte as Go's encoding/pem writes it: headers sorted, `Proc-Type` first. */
export function encodePem(block: PemBlock): string {
  const names = [...block.headers.keys()].sort((a, b) => headerRank(a) - headerRank(b) || (a < b ? -1 : 1));
  const headers = names.map((name) => `${name}: ${checkedValue(name, block.headers.get(name) ?? '')}\n`);
  const body = Buffer.from(block.der)
    .toString('base64')
    .replaceAll(new RegExp(`.{1,${LINE_LENGTH}}`, 'g'), '$&\n');
  const separator = headers.length > 0 ? '\n' : '';
  return `-----BEGIN ${block.type}-----\n${headers.join('')}${separator}${body}-----END ${block.type}-----\n`;
}

/** A block without headers. */
export function pemText(type: string, der: Uint8Array): string {
  return encodePem({ type, headers: new Map(), der });
}

/** The same blocks without headers and with regular white space, as SwarmKit stores certificates. */
export function normalizePem(text: string | Uint8Array, what: string): string {
  return parsePem(text, what)
    .map(({ type, der }) => pemText(type, der))
    .join('');
}

function parseBlock(type: string, content: string, what: string): PemBlock {
  const lines = content.split(/\r?\n/);
  const headers = new Map<string, string>();
  let at = 0;
  for (; lines[at]?.includes(':') === true; at++) {
    const line = lines[at] ?? '';
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const base64 = lines.slice(at).join('').replaceAll(/\s/g, '');
  if (!BASE64.test(base64) || base64.length % 4 !== 0) throw damaged(what, `holds a damaged ${type} block`);
  return { type, headers, der: new Uint8Array(Buffer.from(base64, 'base64')) };
}

function headerRank(name: string): number {
  return name === 'Proc-Type' ? 0 : 1;
}

function checkedValue(name: string, value: string): string {
  if (name === '' || /[:\r\n]/.test(name) || name.trim() !== name || /[\r\n]/.test(value) || value.trim() !== value) {
    throw new SwarmError(Code.INVALID_ARGUMENT, `PEM header ${JSON.stringify(name)} cannot be written`);
  }
  return value;
}

function damaged(what: string, why: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, `${what} ${why}`);
}
