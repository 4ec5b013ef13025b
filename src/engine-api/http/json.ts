import { ApiError } from './api-error.js';
import { decodeBase64 } from './base64.js';
import { checkJsonSyntax } from './json-syntax.js';
import type { HttpRequest, HttpResponse } from './message.js';

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Any JSON value; integers beyond 2^53 are bigints so that none is rounded. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Parses JSON, keeping large integers exact. */
export function parseJson(text: string): JsonValue {
  return JSON.parse(text, keepIntegers as (this: unknown, key: string, value: unknown) => unknown) as JsonValue;
}

function keepIntegers(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

/** Prints as Go's encoder does with HTML escaping off: bigints as integers, undefined left out. */
export function printJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(part.toString()) : part,
  );
}

/** An answer with a JSON body, ended by a newline as Docker does. */
export function jsonResponse(status: number, value: unknown): HttpResponse {
  return { status, headers: { 'Content-Type': 'application/json' }, body: `${printJson(value)}\n` };
}

/** Lists of this many entries or more are encoded in slices so that the event loop stays free. */
const SLICE_ENTRIES = 200;

/** An answer with a JSON array, encoded while it is sent; `yieldLoop` is awaited between slices. */
export function jsonListResponse<T>(
  items: readonly T[],
  convert: (item: T) => unknown,
  yieldLoop: () => Promise<void>,
): HttpResponse {
  if (items.length <= SLICE_ENTRIES) return jsonResponse(200, items.map(convert));
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body: listSlices(items, convert, yieldLoop) };
}

async function* listSlices<T>(
  items: readonly T[],
  convert: (item: T) => unknown,
  yieldLoop: () => Promise<void>,
): AsyncIterable<string> {
  for (let start = 0; start < items.length; start += SLICE_ENTRIES) {
    const slice = items.slice(start, start + SLICE_ENTRIES).map((item) => printJson(convert(item)));
    yield `${start === 0 ? '[' : ','}${slice.join(',')}`;
    await yieldLoop();
  }
  yield ']\n';
}

/** The JSON object in a request's body (E-107). An empty body is an object without keys. */
export async function readJsonBody(request: HttpRequest): Promise<JsonObject> {
  const body = await request.body();
  const contentType = request.headers.get('content-type') ?? '';
  if (contentType !== '' || body.length > 0) checkContentType(contentType);
  if (body.length === 0 && !request.headers.has('transfer-encoding')) return new JsonObject({}, '');
  const value = parseJson(firstValue(new TextDecoder().decode(body)));
  if (value === null) return new JsonObject({}, '');
  if (!isObject(value)) throw wrongType('', value, 'object');
  return new JsonObject(value, '');
}

function firstValue(text: string): string {
  const checked = checkJsonSyntax(text);
  switch (checked.kind) {
    case 'empty':
      throw new ApiError('invalid-parameter', 'invalid JSON: got EOF while reading request body');
    case 'error':
      throw new ApiError('invalid-parameter', `invalid JSON: ${checked.message}`);
    case 'value':
      if (text.slice(checked.end).trim() !== '') {
        throw new ApiError('invalid-parameter', 'unexpected content after JSON');
      }
      return text;
  }
}

function checkContentType(given: string): void {
  const type = (given.split(';')[0] as string).trim().toLowerCase();
  if (type === 'application/json') return;
  if (!/^[^\s/;]+(\/[^\s/;]+)?$/.test(type)) {
    const reason = type === '' ? 'mime: no media type' : 'mime: expected token after slash';
    throw new ApiError('invalid-parameter', `malformed Content-Type header (${given}): ${reason}`);
  }
  throw new ApiError('invalid-parameter', `unsupported Content-Type header (${given}): must be 'application/json'`);
}

/**
 * Typed access to a decoded object with Go's rules (E-108): keys match without regard to case, unknown keys
 * are ignored, null counts as absent. Wrong types are refused, naming the field.
 */
export class JsonObject {
  readonly #byLowerKey = new Map<string, JsonValue>();

  constructor(
    value: Readonly<Record<string, JsonValue>>,
    readonly path: string,
  ) {
    for (const [key, given] of Object.entries(value)) this.#byLowerKey.set(key.toLowerCase(), given);
  }

  has(key: string): boolean {
    return (this.#byLowerKey.get(key.toLowerCase()) ?? null) !== null;
  }

  string(key: string): string {
    return this.#typed(key, 'string', (value) => (typeof value === 'string' ? value : undefined)) ?? '';
  }

  boolean(key: string): boolean {
    return this.optionalBoolean(key) ?? false;
  }

  optionalBoolean(key: string): boolean | undefined {
    return this.#typed(key, 'bool', (value) => (typeof value === 'boolean' ? value : undefined));
  }

  /** A number that may have a fraction. */
  number(key: string): number {
    return this.#typed(key, 'float32', (value) => (typeof value === 'number' ? value : undefined)) ?? 0;
  }

  /** A 64-bit signed integer. */
  integer(key: string): bigint {
    return this.optionalInteger(key) ?? 0n;
  }

  optionalInteger(key: string): bigint | undefined {
    return this.#typed(key, 'int64', (value) => integerOf(value, INT64_MIN, INT64_MAX));
  }

  /** A 64-bit unsigned integer. */
  unsigned(key: string): bigint {
    return this.optionalUnsigned(key) ?? 0n;
  }

  optionalUnsigned(key: string): bigint | undefined {
    return this.#typed(key, 'uint64', (value) => integerOf(value, 0n, 2n ** 64n - 1n));
  }

  /** An unsigned 32-bit integer as a plain number. */
  unsigned32(key: string): number {
    return Number(this.#typed(key, 'uint32', (value) => integerOf(value, 0n, 2n ** 32n - 1n)) ?? 0n);
  }

  /** Base64 text as bytes (E-108). */
  bytes(key: string): Uint8Array {
    return decodeBase64(this.string(key));
  }

  /** A nested object; undefined when absent. */
  object(key: string): JsonObject | undefined {
    const value = this.#typed(key, 'object', (given) => (isObject(given) ? given : undefined));
    return value === undefined ? undefined : new JsonObject(value, this.#pathOf(key));
  }

  objects(key: string): readonly JsonObject[] {
    return this.#list(key).map((item, index) => {
      if (item === null) return new JsonObject({}, `${this.#pathOf(key)}[${index}]`);
      if (!isObject(item)) throw wrongType(`${this.#pathOf(key)}[${index}]`, item, 'object');
      return new JsonObject(item, `${this.#pathOf(key)}[${index}]`);
    });
  }

  strings(key: string): readonly string[] {
    return this.#list(key).map((item, index) => {
      if (item === null) return '';
      if (typeof item !== 'string') throw wrongType(`${this.#pathOf(key)}[${index}]`, item, 'string');
      return item;
    });
  }

  /** A list of lists of strings. */
  stringLists(key: string): readonly (readonly string[])[] {
    return this.#list(key).map((item, index) =>
      new JsonObject({ item }, `${this.#pathOf(key)}[${index}]`).strings('item'),
    );
  }

  /** A map of strings. */
  stringMap(key: string): Record<string, string> {
    const value = this.#typed(key, 'map[string]string', (given) => (isObject(given) ? given : undefined));
    const result: Record<string, string> = {};
    for (const [name, item] of Object.entries(value ?? {})) {
      if (item !== null && typeof item !== 'string') throw wrongType(`${this.#pathOf(key)}.${name}`, item, 'string');
      result[name] = item ?? '';
    }
    return result;
  }

  /** Names present in a map of objects such as `{"eth0": {}}`, with their values. */
  entries(key: string): readonly (readonly [string, JsonValue])[] {
    const value = this.#typed(key, 'map', (given) => (isObject(given) ? given : undefined));
    return Object.entries(value ?? {});
  }

  #list(key: string): readonly JsonValue[] {
    return (
      this.#typed(key, 'array', (value) => (Array.isArray(value) ? (value as readonly JsonValue[]) : undefined)) ?? []
    );
  }

  #typed<T>(key: string, type: string, convert: (value: JsonValue) => T | undefined): T | undefined {
    const value = this.#byLowerKey.get(key.toLowerCase()) ?? null;
    if (value === null) return undefined;
    const converted = convert(value);
    if (converted === undefined) throw wrongType(this.#pathOf(key), value, type);
    return converted;
  }

  #pathOf(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}

function isObject(value: JsonValue): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function integerOf(value: JsonValue, min: bigint, max: bigint): bigint | undefined {
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isInteger(value))) return undefined;
  const exact = BigInt(value);
  return exact < min || exact > max ? undefined : exact;
}

/** Kinds of JSON values as Go names them. */
const GO_KINDS: Readonly<Record<string, string>> = {
  bigint: 'number',
  number: 'number',
  boolean: 'bool',
  string: 'string',
  object: 'object',
};

function wrongType(path: string, value: JsonValue, type: string): ApiError {
  const kind = Array.isArray(value) ? 'array' : GO_KINDS[typeof value];
  const where = path === '' ? 'value' : `struct field ${path}`;
  return new ApiError(
    'invalid-parameter',
    `invalid JSON: json: cannot unmarshal ${kind} into Go ${where} of type ${type}`,
  );
}
