import { decodeRune, encodeRune, isPrintable, toGoString } from './go-string.js';

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};
const NAMES = new Map(Object.entries(ESCAPES).map(([name, char]) => [char, `\\${name}`]));
const HEX_LENGTHS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The value of a quoted Go literal (`"…"` or a raw one); undefined where its syntax is wrong. */
export function unquote(literal: string): string | undefined {
  const quote = literal[0];
  if (literal.length < 2 || quote === undefined || literal.at(-1) !== quote) return undefined;
  const body = literal.slice(1, -1);
  if (quote === '`') return body.includes('`') ? undefined : body.replaceAll('\r', '');
  let value = '';
  for (let at = 0; at < body.length; ) {
    const char = unquoteChar(body, at, quote);
    if (char === undefined) return undefined;
    value += char.bytes;
    at += char.width;
  }
  return value;
}

/** The code point of a character constant such as `'x'`; undefined where its syntax is wrong. */
export function unquoteRune(literal: string): number | undefined {
  if (literal.length < 3 || literal.at(-1) !== "'") return undefined;
  const char = unquoteChar(literal.slice(1, -1), 0, "'");
  return char !== undefined && char.width === literal.length - 2 ? char.rune : undefined;
}

interface Unquoted {
  readonly rune: number;
  readonly bytes: string;
  readonly width: number;
}

function unquoteChar(body: string, at: number, quote: string): Unquoted | undefined {
  const char = body[at];
  if (char === undefined || char === quote || char === '\n') return undefined;
  if (char !== '\\') {
    const { rune, width } = decodeRune(body, at);
    return { rune, bytes: body.slice(at, at + width), width };
  }
  const name = body[at + 1] ?? '';
  const plain = ESCAPES[name] ?? (name === quote ? name : undefined);
  if (plain !== undefined) return { rune: plain.charCodeAt(0), bytes: plain, width: 2 };
  const hexLength = HEX_LENGTHS[name];
  if (hexLength !== undefined) return unquoteHex(body.slice(at + 2, at + 2 + hexLength), hexLength, name === 'x');
  const octal = /^[0-7]{3}/.exec(body.slice(at + 1))?.[0];
  if (octal === undefined) return undefined;
  const rune = Number.parseInt(octal, 8);
  return rune > 255 ? undefined : { rune, bytes: String.fromCharCode(rune), width: 4 };
}

function unquoteHex(digits: string, length: number, isByte: boolean): Unquoted | undefined {
  if (digits.length !== length || !/^[0-9a-fA-F]+$/.test(digits)) return undefined;
  const rune = Number.parseInt(digits, 16);
  if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) return undefined;
  return { rune, bytes: isByte ? String.fromCharCode(rune) : encodeRune(rune), width: length + 2 };
}

/** A Go string in quotes, as `%q` prints it; with `ascii`, as `%+q`. */
export function quote(bytes: string, ascii = false): string {
  let text = '"';
  for (let at = 0; at < bytes.length; ) {
    const { rune, width } = decodeRune(bytes, at);
    const broken = rune === 0xfffd && width === 1;
    text += broken ? `\\x${hex(bytes.charCodeAt(at), 2)}` : escapeRune(rune, '"', ascii);
    at += width;
  }
  return `${text}"`;
}

/** A code point in single quotes, as `%q` prints a number. */
export function quoteRune(rune: number, ascii = false): string {
  const valid = rune >= 0 && rune <= 0x10ffff && !(rune >= 0xd800 && rune <= 0xdfff);
  return `'${escapeRune(valid ? rune : 0xfffd, "'", ascii)}'`;
}

function escapeRune(rune: number, quoteChar: string, ascii: boolean): string {
  const char = String.fromCodePoint(rune);
  if (char === quoteChar) return `\\${char}`;
  const named = NAMES.get(char);
  if (named !== undefined) return named;
  if (rune < 0x80 ? isPrintable(rune) : !ascii && isPrintable(rune)) return toGoString(char);
  if (rune < 0x20 || rune === 0x7f) return `\\x${hex(rune, 2)}`;
  return rune < 0x10000 ? `\\u${hex(rune, 4)}` : `\\U${hex(rune, 8)}`;
}

/** Whether `%#q` may use back quotes. */
export function canBackquote(bytes: string): boolean {
  for (let at = 0; at < bytes.length; ) {
    const { rune, width } = decodeRune(bytes, at);
    if (rune === 0xfeff || rune === 0xfffd || rune === 0x60 || rune === 0x7f || (rune < 0x20 && rune !== 9))
      return false;
    at += width;
  }
  return true;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}
