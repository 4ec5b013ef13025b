import { unquoteRune } from './quote.js';
import { Complex } from './values.js';

/** A number literal: what it is in Go when nothing asks for a type, or why it is none. */
export type NumberLiteral =
  | { readonly value: bigint | number | Complex }
  | { readonly syntaxError: string }
  /** Legal to write, but too large when it is evaluated. */
  | { readonly overflow: true };

const INT_MAX = (1n << 63n) - 1n;
const INT_MIN = -(1n << 63n);
const UINT_MAX = (1n << 64n) - 1n;

/** Reads a number or character constant as Go's templates do. `quoted` is how an error shows it. */
export function parseNumber(text: string, quoted: string): NumberLiteral {
  if (text.startsWith("'")) {
    const rune = unquoteRune(text);
    return rune === undefined ? { syntaxError: `malformed character constant: ${text}` } : { value: BigInt(rune) };
  }
  const complex = text.endsWith('i') ? parseComplex(text) : undefined;
  if (complex !== undefined) return { value: complex };
  const integer = parseInteger(text);
  if (integer !== undefined) {
    if (integer >= INT_MIN && integer <= INT_MAX) return { value: integer };
    return integer > 0n && integer <= UINT_MAX ? { overflow: true } : { syntaxError: `integer overflow: ${quoted}` };
  }
  const float = parseFloat64(text);
  return float === undefined ? { syntaxError: `illegal number syntax: ${quoted}` } : { value: float };
}

/** An integer literal with the prefixes and underscores of Go; undefined where it is none. */
function parseInteger(text: string): bigint | undefined {
  const match = /^([+-]?)(0[xX]_?[0-9a-fA-F_]+|0[bB]_?[01_]+|0[oO]_?[0-7_]+|[0-9][0-9_]*)$/.exec(text);
  const [, sign = '', digits = ''] = match ?? [];
  if (match === null || !underscoresFit(digits)) return undefined;
  const bare = digits.replaceAll('_', '');
  const octal = /^0[0-9]+$/.test(bare);
  if (octal && /[89]/.test(bare)) return undefined;
  const value = BigInt(octal ? `0o${bare.slice(1)}` : bare);
  return sign === '-' ? -value : value;
}

/** Underscores stand between digits, or between the prefix and a digit. */
function underscoresFit(digits: string): boolean {
  return !digits.includes('__') && !digits.endsWith('_') && !/[.eEpP+-]_|_[.eEpP]/.test(digits);
}

function parseFloat64(text: string): number | undefined {
  if (/_/.test(text) && !underscoresFit(text)) return undefined;
  const bare = text.replaceAll('_', '');
  const hex = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)$/.exec(bare);
  if (hex !== null) {
    const [, sign = '', whole = '', fraction = '', exponent = ''] = hex;
    if (whole === '' && fraction === '') return undefined;
    const value = Number(BigInt(`0x${whole}${fraction}`)) * 2 ** (Number(exponent) - 4 * fraction.length);
    return finite(sign === '-' ? -value : value);
  }
  if (!/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(bare)) return undefined;
  return finite(Number(bare));
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function parseComplex(text: string): Complex | undefined {
  const body = text.slice(0, -1);
  const alone = parsePart(body);
  if (alone !== undefined) return new Complex(0, alone);
  for (let at = body.length - 1; at > 0; at--) {
    if (body[at] !== '+' && body[at] !== '-') continue;
    const real = parsePart(body.slice(0, at));
    const imaginary = parsePart(body.slice(at));
    if (real !== undefined && imaginary !== undefined) return new Complex(real, imaginary);
  }
  return undefined;
}

function parsePart(text: string): number | undefined {
  const integer = /^[+-]?0[xXbBoO]/.test(text) ? parseInteger(text) : undefined;
  return integer === undefined ? parseFloat64(text) : Number(integer);
}
