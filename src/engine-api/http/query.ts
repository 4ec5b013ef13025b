import { ApiError } from './api-error.js';

const FALSE_VALUES = new Set(['', '0', 'no', 'false', 'none']);
const STRICT_TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const STRICT_FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);
const UINT64_MAX = 2n ** 64n - 1n;

/** A boolean parameter in the loose reading (E-109): everything but a few words is true. */
export function looseBoolean(query: URLSearchParams, name: string): boolean {
  return !FALSE_VALUES.has((query.get(name) ?? '').trim().toLowerCase());
}

/** A boolean parameter as Go's ParseBool reads it; absent or empty is false, nonsense is refused. */
export function strictBoolean(query: URLSearchParams, name: string): boolean {
  const text = query.get(name) ?? '';
  if (text === '' || STRICT_FALSE.has(text)) return false;
  if (STRICT_TRUE.has(text)) return true;
  throw new ApiError('invalid-parameter', `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** The version index of an update (E-112). `label` is the text that comes before the colon in the refusal. */
export function versionParameter(query: URLSearchParams, label: (text: string) => string): bigint {
  const text = query.get('version') ?? '';
  if (/^\d+$/.test(text)) {
    const value = BigInt(text);
    if (value <= UINT64_MAX) return value;
    throw new ApiError(
      'invalid-parameter',
      `${label(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`,
    );
  }
  throw new ApiError(
    'invalid-parameter',
    `${label(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

/** Unix seconds with an optional fraction, in nanoseconds; nonsense is refused as Go's ParseInt does. */
export function unixNanoseconds(text: string): bigint {
  const [seconds = '', fraction] = text.split(/\.(.*)/s);
  for (const part of fraction === undefined ? [seconds] : [seconds, fraction]) {
    if (!/^[+-]?\d{1,18}$/.test(part)) {
      throw new ApiError('system', `strconv.ParseInt: parsing ${JSON.stringify(part)}: invalid syntax`);
    }
  }
  const nanoseconds = BigInt((fraction ?? '').padEnd(9, '0').slice(0, 9));
  return BigInt(seconds) * 1_000_000_000n + nanoseconds;
}

/** Parsed `filters`: values per key, in the order given. */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /**
   * Reads both shapes of the parameter: `{"k":{"v":true}}` and `{"k":["v"]}` (E-110).
   * @param allowed keys that the route knows, others are refused; without it all are taken.
   */
  static parse(query: URLSearchParams, allowed?: readonly string[]): Filters {
    const text = query.get('filters') ?? '';
    const values = new Map<string, readonly string[]>();
    if (text !== '') {
      const parsed = parseObject(text);
      for (const [key, given] of Object.entries(parsed)) values.set(key, valuesOf(given));
    }
    for (const key of values.keys()) {
      if (allowed?.includes(key) === false) throw new ApiError('invalid-parameter', `invalid filter '${key}'`);
    }
    return new Filters(values);
  }

  has(key: string): boolean {
    return (this.#values.get(key)?.length ?? 0) > 0;
  }

  get(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** The values of a label key as pairs; `k` alone has an empty value, which means that the key exists. */
  labels(key: string): Record<string, string> {
    const labels: Record<string, string> = {};
    for (const value of this.get(key)) {
      const at = value.indexOf('=');
      labels[at < 0 ? value : value.slice(0, at)] = at < 0 ? '' : value.slice(at + 1);
    }
    return labels;
  }

  /** A boolean value such as `is-task=true`; undefined when absent, refused when neither. */
  boolean(key: string): boolean | undefined {
    const [text] = this.get(key);
    if (text === undefined) return undefined;
    if (STRICT_TRUE.has(text)) return true;
    if (STRICT_FALSE.has(text)) return false;
    throw new ApiError('invalid-parameter', `invalid filter '${key}=${text}'`);
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch (error) {
    throw new ApiError('invalid-parameter', 'invalid filter', error);
  }
  throw new ApiError('invalid-parameter', 'invalid filter');
}

function valuesOf(given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((value) => typeof value === 'string')) return given;
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return Object.keys(given);
  throw new ApiError('invalid-parameter', 'invalid filter');
}
