import { formatFloat } from './format-float.js';
import { encodeRune, runeCount, runesOf, isPrintable } from './go-string.js';
import { canBackquote, quote, quoteRune } from './quote.js';
import { Complex, Struct, isMap, isSlice, sortedKeys, typeName, type Value } from './values.js';

/** The flags of one formatting directive. */
export interface Flags {
  readonly plus: boolean;
  readonly minus: boolean;
  readonly sharp: boolean;
  readonly space: boolean;
  readonly zero: boolean;
  readonly width: number | undefined;
  readonly precision: number | undefined;
}

/** No flags at all. */
export const PLAIN: Flags = {
  plus: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
  width: undefined,
  precision: undefined,
};

/** One value under one verb, as Go's fmt prints it. */
export function formatValue(value: Value, verb: string, flags: Flags): string {
  if (value === undefined) return verb === 'v' || verb === 'T' ? pad('<nil>', flags) : badVerb(value, verb);
  if (verb === 'T') return formatString(typeName(value), 's', flags);
  switch (typeof value) {
    case 'boolean':
      return verb === 't' || verb === 'v' ? pad(String(value), flags) : badVerb(value, verb);
    case 'string':
      return 'vsxXq'.includes(verb) ? formatString(value, verb, flags) : badVerb(value, verb);
    case 'bigint':
      return formatInteger(value, verb, flags);
    case 'number':
      return 'vbgGxXfFeE'.includes(verb) ? formatNumber(value, verb, flags) : badVerb(value, verb);
    default:
      return formatCompound(value, verb, flags);
  }
}

function formatCompound(
  value: Exclude<Value, undefined | boolean | string | bigint | number>,
  verb: string,
  flags: Flags,
): string {
  if (verb === 'p') return badVerb(value, verb);
  const goSyntax = verb === 'v' && flags.sharp;
  if (value instanceof Complex) {
    if (!'vbgGxXfFeE'.includes(verb)) return badVerb(value, verb);
    const letter = verb === 'v' ? 'g' : verb;
    const imaginary = formatNumber(value.imaginary, letter, { ...flags, plus: true });
    return `(${formatNumber(value.real, verb, flags)}${imaginary}i)`;
  }
  if (isSlice(value)) {
    const items = value.map((item) => formatValue(item, verb, flags));
    return goSyntax ? `${typeName(value)}{${items.join(', ')}}` : `[${items.join(' ')}]`;
  }
  if (isMap(value)) {
    const items = sortedKeys(value).map(
      (key) => `${formatValue(key, verb, flags)}:${formatValue(value.get(key), verb, flags)}`,
    );
    return goSyntax ? `${typeName(value)}{${items.join(', ')}}` : `map[${items.join(' ')}]`;
  }
  if (!(value instanceof Struct)) return badVerb(value, verb);
  const named = verb === 'v' && (flags.plus || flags.sharp);
  const items = [...value.fields].map(
    ([name, field]) => `${named ? `${name}:` : ''}${formatValue(field, verb, flags)}`,
  );
  return goSyntax ? `${value.typeName}{${items.join(', ')}}` : `{${items.join(' ')}}`;
}

/** What Go prints for a verb that does not fit the value. */
function badVerb(value: Value, verb: string): string {
  return value === undefined ? `%!${verb}(<nil>)` : `%!${verb}(${typeName(value)}=${formatValue(value, 'v', PLAIN)})`;
}

function formatString(value: string, verb: string, flags: Flags): string {
  if (verb === 'x' || verb === 'X') return hexString(value, verb, flags);
  const cut = truncated(value, flags.precision);
  if (verb === 'q' || (verb === 'v' && flags.sharp)) {
    const raw = verb === 'q' && flags.sharp && canBackquote(cut);
    return pad(raw ? `\`${cut}\`` : quote(cut, verb === 'q' && flags.plus), flags);
  }
  return pad(cut, flags);
}

/** The first `count` code points. */
function truncated(value: string, count: number | undefined): string {
  if (count === undefined || value.length <= count) return value;
  return runesOf(value).slice(0, count).map(encodeRune).join('');
}

function hexString(value: string, verb: string, flags: Flags): string {
  const bytes = Array.from({ length: Math.min(flags.precision ?? value.length, value.length) }, (_, at) =>
    value.charCodeAt(at).toString(16).padStart(2, '0'),
  );
  const prefix = flags.sharp && bytes.length > 0 ? '0x' : '';
  const text = flags.space ? bytes.map((byte) => prefix + byte).join(' ') : prefix + bytes.join('');
  return pad(verb === 'X' ? text.toUpperCase() : text, flags);
}

const BASES: Readonly<Record<string, number>> = { v: 10, d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const PREFIXES: Readonly<Record<string, string>> = { b: '0b', o: '0', x: '0x', X: '0X' };

function formatInteger(value: bigint, verb: string, flags: Flags): string {
  const base = BASES[verb];
  if (base !== undefined) return padNumber(...integerParts(value, verb, base, flags), flags);
  const rune = value >= 0n && value <= 0x10ffffn ? Number(value) : 0xfffd;
  if (verb === 'c') return pad(encodeRune(rune), flags);
  if (verb === 'q') return pad(quoteRune(rune, flags.plus), flags);
  if (verb !== 'U') return badVerb(value, verb);
  const digits = BigInt.asUintN(64, value)
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(4, flags.precision ?? 4), '0');
  const shown = flags.sharp && value >= 0n && value <= 0x10ffffn && isPrintable(rune);
  return pad(`U+${digits}${shown ? ` '${encodeRune(rune)}'` : ''}`, { ...flags, zero: false });
}

/** Sign with prefix, and digits, of an integer. */
function integerParts(value: bigint, verb: string, base: number, flags: Flags): [string, string] {
  if (flags.precision === 0 && value === 0n) return ['', ''];
  const sign = value < 0n ? '-' : positiveSign(verb, flags);
  let digits = (value < 0n ? -value : value).toString(base);
  if (verb === 'X') digits = digits.toUpperCase();
  digits = digits.padStart(flags.precision ?? 0, '0');
  const prefix = verb === 'O' ? '0o' : flags.sharp && verb !== 'v' ? (PREFIXES[verb] ?? '') : '';
  return [sign + (verb === 'o' && digits.startsWith('0') ? '' : prefix), digits];
}

function formatNumber(value: number, verb: string, flags: Flags): string {
  const letter = verb === 'v' ? 'g' : verb === 'F' ? 'f' : verb;
  const text = formatFloat(value, letter, flags.precision ?? ('efEF'.includes(verb) ? 6 : undefined));
  const signed = /^[+-]/.test(text);
  const digits = signed ? text.slice(1) : text;
  const sign = text.startsWith('-') ? '-' : positiveSign(verb, flags);
  const finite = Number.isFinite(value);
  const infinite = Math.abs(value) === Number.POSITIVE_INFINITY && sign === '' ? '+' : sign;
  return finite
    ? padNumber(sign, flags.sharp && verb !== 'v' ? withPoint(digits) : digits, flags, true)
    : pad(infinite + digits, { ...flags, zero: false });
}

/** What stands before a number that is not negative. In `%+v` the plus asks for field names instead. */
function positiveSign(verb: string, flags: Flags): string {
  if (flags.plus && verb !== 'v') return '+';
  return flags.space ? ' ' : '';
}

/** `%#g` and its like always show a decimal point. */
function withPoint(digits: string): string {
  if (digits.includes('.')) return digits;
  const at = digits.search(/[ep]/i);
  return at === -1 ? `${digits}.` : `${digits.slice(0, at)}.${digits.slice(at)}`;
}

/** Pads a number: zeros go between sign and digits. A precision switches them off for integers. */
function padNumber(sign: string, digits: string, flags: Flags, isFloat = false): string {
  const zeros = flags.zero && !flags.minus && (isFloat || flags.precision === undefined);
  if (!zeros || flags.width === undefined) return pad(sign + digits, { ...flags, zero: false });
  // Go counts the sign but not the prefix when it fills with zeros.
  const signWidth = /^[+\- ]/.test(sign) ? 1 : 0;
  return sign + digits.padStart(flags.width - signWidth, '0');
}

function pad(text: string, flags: Flags): string {
  const missing = (flags.width ?? 0) - runeCount(text);
  if (missing <= 0) return text;
  if (flags.minus) return text + ' '.repeat(missing);
  return (flags.zero ? '0' : ' ').repeat(missing) + text;
}
