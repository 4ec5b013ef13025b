import { sprint, sprintf, sprintln } from './format.js';
import { decodeRune, fromGoString, isPrintable } from './go-string.js';
import { Complex, Struct, isMap, isSlice, isTrue, typeName, type Value } from './values.js';

/** A function that templates can call. It reports what is wrong by throwing {@link FunctionError}. */
export interface TemplateFunction {
  /** Arguments that must be there. */
  readonly fixed: readonly ParameterType[];
  /** Type of any number of further arguments; undefined = there are none. */
  readonly rest: ParameterType | undefined;
  readonly call: (args: readonly Value[]) => Value;
}

/** What a parameter accepts. */
export type ParameterType = 'any' | 'string';

/** Why a function could not be carried out. */
export class FunctionError extends Error {}

/** Builtins that look at no more arguments than they need; the evaluator carries them out. */
export const SHORT_CIRCUITS: ReadonlySet<string> = new Set(['and', 'or']);

const ANY = ['any'] as const;
const TWO = ['any', 'any'] as const;

/** The functions every template has. Source: documentation of Go's text/template. */
export const BUILTINS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', { fixed: ANY, rest: 'any', call: (args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1) }],
  ['or', { fixed: ANY, rest: 'any', call: (args) => args.find(isTrue) ?? args.at(-1) }],
  ['not', { fixed: ANY, rest: undefined, call: ([value]) => !isTrue(value) }],
  [
    'call',
    {
      fixed: ANY,
      rest: 'any',
      call: ([value]) => fail(value === undefined ? 'call of nil' : `non-function of type ${typeName(value)}`),
    },
  ],
  ['len', { fixed: ANY, rest: undefined, call: ([value]) => BigInt(lengthOf(value)) }],
  ['index', { fixed: ANY, rest: 'any', call: ([value, ...indexes]) => indexes.reduce(indexOnce, value) }],
  ['slice', { fixed: ANY, rest: 'any', call: ([value, ...indexes]) => sliceOf(value, indexes) }],
  ['print', { fixed: [], rest: 'any', call: sprint }],
  ['println', { fixed: [], rest: 'any', call: sprintln }],
  ['printf', { fixed: ['string'], rest: 'any', call: ([format, ...values]) => sprintf(format as string, values) }],
  ['html', { fixed: [], rest: 'any', call: (args) => escapeHtml(textOf(args)) }],
  ['js', { fixed: [], rest: 'any', call: (args) => escapeJs(textOf(args)) }],
  ['urlquery', { fixed: [], rest: 'any', call: (args) => escapeQuery(textOf(args)) }],
  ['eq', { fixed: ANY, rest: 'any', call: ([value, ...others]) => isEqualToAny(value, others) }],
  ['ne', { fixed: TWO, rest: undefined, call: ([a, b]) => !isEqual(a, b) }],
  ['lt', { fixed: TWO, rest: undefined, call: ([a, b]) => isLess(a, b) }],
  ['le', { fixed: TWO, rest: undefined, call: ([a, b]) => isLess(a, b) || isEqual(a, b) }],
  ['gt', { fixed: TWO, rest: undefined, call: ([a, b]) => !isLess(a, b) && !isEqual(a, b) }],
  ['ge', { fixed: TWO, rest: undefined, call: ([a, b]) => !isLess(a, b) }],
]);

function fail(message: string): never {
  throw new FunctionError(message);
}

function lengthOf(value: Value): number {
  if (typeof value === 'string' || isSlice(value)) return value.length;
  if (isMap(value)) return value.size;
  return fail(value === undefined ? 'len of nil pointer' : `len of type ${typeName(value)}`);
}

function indexOnce(value: Value, index: Value): Value {
  if (value === undefined) return fail('index of untyped nil');
  if (isMap(value)) {
    if (index === undefined) return fail('value is nil; should be of type string');
    if (typeof index !== 'string') return fail(`value has type ${typeName(index)}; should be string`);
    return value.get(index) ?? zeroOf(value);
  }
  if (typeof value !== 'string' && !isSlice(value)) return fail(`can't index item of type ${typeName(value)}`);
  const at = position(index, value.length - 1);
  return typeof value === 'string' ? BigInt(value.charCodeAt(at)) : value[at];
}

/** The zero value of a map's elements. */
function zeroOf(map: ReadonlyMap<string, Value>): Value {
  const [sample] = map.values();
  switch (typeof (sample ?? '')) {
    case 'boolean':
      return false;
    case 'bigint':
      return 0n;
    case 'number':
      return 0;
    case 'string':
      return '';
    default:
      return undefined;
  }
}

function position(index: Value, max: number): number {
  if (index === undefined) return fail('cannot index slice/array with nil');
  if (typeof index !== 'bigint') return fail(`cannot index slice/array with type ${typeName(index)}`);
  if (index < 0n || index > BigInt(max)) return fail(`index out of range: ${index}`);
  return Number(index);
}

function sliceOf(value: Value, indexes: readonly Value[]): Value {
  if (value === undefined) return fail('slice of untyped nil');
  if (indexes.length > 3) return fail(`too many slice indexes: ${indexes.length}`);
  const isText = typeof value === 'string';
  if (!isText && !isSlice(value)) return fail(`can't slice item of type ${typeName(value)}`);
  if (isText && indexes.length === 3) return fail('cannot 3-index slice a string');
  const [start = 0, end = value.length, capacity = value.length] = indexes.map((index) =>
    position(index, value.length),
  );
  if (start > end) return fail(`invalid slice index: ${start} > ${end}`);
  if (end > capacity) return fail(`invalid slice index: ${end} > ${capacity}`);
  return value.slice(start, end);
}

/** The text that html, js and urlquery work on: no spaces are put around strings. */
function textOf(args: readonly Value[]): string {
  const [only] = args;
  if (args.length === 1 && typeof only === 'string') return only;
  return sprint(args.map((arg) => (arg === undefined ? '<no value>' : arg)));
}

const HTML: Readonly<Record<string, string>> = {
  '\0': '\xef\xbf\xbd',
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
};

function escapeHtml(text: string): string {
  return text.replace(/["'&<>\0]/g, (char) => HTML[char] ?? char);
}

const JS: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
};

function escapeJs(text: string): string {
  let escaped = '';
  for (let at = 0; at < text.length; ) {
    const { rune, width } = decodeRune(text, at);
    const char = text.slice(at, at + width);
    const special = JS[char];
    if (special !== undefined) escaped += special;
    else if (rune < 0x20 || (rune >= 0x80 && !isPrintable(rune)))
      escaped += `\\u${rune.toString(16).toUpperCase().padStart(4, '0')}`;
    else escaped += char;
    at += width;
  }
  return escaped;
}

function escapeQuery(text: string): string {
  return text.replace(/[^A-Za-z0-9\-_.~]/g, (char) =>
    char === ' ' ? '+' : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

type BasicKind = 'boolean' | 'bigint' | 'number' | 'string' | 'complex';

function basicKind(value: Value): BasicKind | undefined {
  if (value instanceof Complex) return 'complex';
  const kind = typeof value;
  return kind === 'boolean' || kind === 'bigint' || kind === 'number' || kind === 'string' ? kind : undefined;
}

function isEqualToAny(value: Value, others: readonly Value[]): boolean {
  if (others.length === 0) return fail('missing argument for comparison');
  return others.some((other) => isEqual(value, other));
}

function isEqual(a: Value, b: Value): boolean {
  const [kind, other] = [basicKind(a), basicKind(b)];
  if (kind !== other) return a === undefined || b === undefined ? false : fail('incompatible types for comparison');
  if (a instanceof Complex && b instanceof Complex) return a.real === b.real && a.imaginary === b.imaginary;
  if (kind !== undefined || a === undefined || b === undefined) return a === b;
  if (!isComparable(a)) return fail(`non-comparable type ${fromGoString(sprint([a]))}: ${typeName(a)}`);
  if (!isComparable(b)) return fail(`non-comparable type ${fromGoString(sprint([b]))}: ${typeName(b)}`);
  const [left, right] = [a as Struct, b as Struct];
  return (
    left.typeName === right.typeName &&
    [...left.fields].every(([name, field]) => isEqual(field, right.fields.get(name)))
  );
}

function isComparable(value: Value): boolean {
  if (value instanceof Struct) return [...value.fields.values()].every(isComparable);
  return !isMap(value) && !isSlice(value);
}

function isLess(a: Value, b: Value): boolean {
  const [kind, other] = [basicKind(a), basicKind(b)];
  if (kind === undefined || other === undefined) return fail('invalid type for comparison');
  if (kind !== other) return fail('incompatible types for comparison');
  if (kind === 'boolean' || kind === 'complex') return fail('invalid type for comparison');
  return (a as string | number | bigint) < (b as string | number | bigint);
}
