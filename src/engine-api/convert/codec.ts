import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import type { Duration, Timestamp } from '@bufbuild/protobuf/wkt';

import { durationFromNs, nsFromDuration } from '../../api/index.js';
import { ApiError, JsonObject, type JsonValue } from '../http/index.js';

/** Both directions between a value of the protocol and its form in Docker's JSON. */
export interface Codec<T> {
  /** Reads the value of a key that is present; refuses other types, naming the field. */
  decode(json: JsonObject, key: string): T;
  encode(value: T): unknown;
  /** Whether Go's `omitempty` would leave the value out. */
  isEmpty(value: T): boolean;
  /** What an absent key means, where it is not the protocol's own default. */
  readonly absent?: T;
}

export const text: Codec<string> = {
  decode: (json, key) => json.string(key),
  encode: (value) => value,
  isEmpty: (value) => value === '',
};

export const flag: Codec<boolean> = {
  decode: (json, key) => json.boolean(key),
  encode: (value) => value,
  isEmpty: (value) => !value,
};

export const int64: Codec<bigint> = {
  decode: (json, key) => json.integer(key),
  encode: (value) => value,
  isEmpty: (value) => value === 0n,
};

export const uint64: Codec<bigint> = { ...int64, decode: (json, key) => json.unsigned(key) };

export const int32: Codec<number> = {
  decode: (json, key) => Number(BigInt.asIntN(32, json.integer(key))),
  encode: (value) => value,
  isEmpty: (value) => value === 0,
};

export const uint32: Codec<number> = { ...int32, decode: (json, key) => json.unsigned32(key) };

/** A ratio; printed with the digits that a 32-bit float really has. */
export const ratio: Codec<number> = {
  decode: (json, key) => json.number(key),
  encode: (value) => Number(Math.fround(value).toPrecision(7)),
  isEmpty: (value) => value === 0,
};

export const bytes: Codec<Uint8Array> = {
  decode: (json, key) => json.bytes(key),
  encode: (value) => encodeBase64(value),
  isEmpty: (value) => value.length === 0,
};

export const texts: Codec<string[]> = {
  decode: (json, key) => [...json.strings(key)],
  encode: (value) => value,
  isEmpty: (value) => value.length === 0,
};

export const textMap: Codec<Record<string, string>> = {
  decode: (json, key) => json.stringMap(key),
  encode: (value) => value,
  isEmpty: (value) => Object.keys(value).length === 0,
};

/** Durations are whole nanoseconds. */
export const duration: Codec<Duration | undefined> = {
  decode: (json, key) => durationFromNs(json.integer(key)),
  encode: (value) => (value === undefined ? undefined : nsFromDuration(value)),
  isEmpty: (value) => value === undefined,
};

/** A duration that is a plain number in Go: 0 and absent are the same. */
export const plainDuration: Codec<Duration | undefined> = {
  decode: (json, key) => (json.integer(key) === 0n ? undefined : durationFromNs(json.integer(key))),
  encode: (value) => (value === undefined ? 0n : nsFromDuration(value)),
  isEmpty: (value) => value === undefined || nsFromDuration(value) === 0n,
};

/** A wrapped number or flag: absent and zero differ. */
export const optionalInt64: Codec<bigint | undefined> = {
  decode: (json, key) => json.optionalInteger(key),
  encode: (value) => value,
  isEmpty: (value) => value === undefined,
};

export const optionalFlag: Codec<boolean | undefined> = {
  decode: (json, key) => json.optionalBoolean(key),
  encode: (value) => value,
  isEmpty: (value) => value === undefined,
};

/**
 * A word for each value of an enum. Case is ignored when reading; the empty word is the first value.
 * @param refusal makes the error for an unknown word; without it an unknown word is the first value, as in Go.
 */
export function word<E extends number>(
  words: readonly (readonly [string, E])[],
  refusal?: (given: string) => string,
): Codec<E> {
  const [first] = words;
  if (first === undefined) throw new Error('an enum has at least one value');
  return {
    decode: (json, key) => {
      const given = json.string(key);
      const found = words.find(([name]) => name === given.toLowerCase());
      if (found !== undefined) return found[1];
      if (given !== '' && refusal !== undefined) throw new ApiError('invalid-parameter', refusal(given));
      return first[1];
    },
    encode: (value) => words.find(([, known]) => known === value)?.[0] ?? first[0],
    isEmpty: () => false,
    absent: first[1],
  };
}

/** A list of messages. */
export function list<T>(item: MessageCodec<T>): Codec<T[]> {
  return {
    decode: (json, key) => json.objects(key).map((entry) => item.fromJson(entry)),
    encode: (value) => value.map((entry) => item.toJson(entry)),
    isEmpty: (value) => value.length === 0,
  };
}

/** A message that may be absent. */
export function optional<T>(item: MessageCodec<T>): Codec<T | undefined> {
  return {
    decode: (json, key) => {
      const nested = json.object(key);
      return nested === undefined ? undefined : item.fromJson(nested);
    },
    encode: (value) => (value === undefined ? undefined : item.toJson(value)),
    isEmpty: (value) => value === undefined,
  };
}

/** A message against a JSON object. */
export interface MessageCodec<T> {
  fromJson(json: JsonObject): T;
  toJson(message: T): Record<string, unknown>;
}

/** One key of an object and the field that it stands for. */
interface FieldCodec<T> {
  readonly key: string;
  read(json: JsonObject, into: Record<string, unknown>): void;
  write(message: T, into: Record<string, unknown>): void;
}

/** How an empty value is printed: left out, printed as it is, or (a nil slice or map of Go) as null. */
type Empty = 'omit' | 'keep' | 'null';

/** Builds the codec of a message from a table of its fields. */
export function message<D extends DescMessage>(
  schema: D,
  fields: (field: FieldBuilder<MessageShape<D>>) => readonly FieldCodec<MessageShape<D>>[],
): MessageCodec<MessageShape<D>> {
  const table = fields(fieldBuilder<MessageShape<D>>());
  return {
    fromJson: (json) => {
      const init: Record<string, unknown> = {};
      for (const field of table) field.read(json, init);
      return create(schema, init as MessageInitShape<D>);
    },
    toJson: (value) => {
      const into: Record<string, unknown> = {};
      for (const field of table) field.write(value, into);
      return into;
    },
  };
}

type FieldBuilder<T> = <K extends keyof T & string>(
  key: string,
  name: K,
  codec: Codec<T[K]>,
  empty?: Empty,
) => FieldCodec<T>;

function fieldBuilder<T>(): FieldBuilder<T> {
  return (key, name, codec, empty = 'omit') => ({
    key,
    read: (json, into) => {
      if (json.has(key)) into[name] = codec.decode(json, key);
      else if (codec.absent !== undefined) into[name] = codec.absent;
    },
    write: (value, into) => {
      const given = value[name];
      if (!codec.isEmpty(given)) into[key] = codec.encode(given);
      else if (empty !== 'omit') into[key] = empty === 'null' ? null : codec.encode(given);
    },
  });
}

/** RFC 3339 with up to nine digits and no trailing zeros, as Go prints times; an absent one is the epoch, as in Go. */
export function timeText(timestamp: Timestamp | undefined): string {
  if (timestamp === undefined) return '1970-01-01T00:00:00Z';
  const whole = new Date(Number(timestamp.seconds) * 1000).toISOString().slice(0, 19);
  if (timestamp.nanos === 0) return `${whole}Z`;
  return `${whole}.${timestamp.nanos.toString().padStart(9, '0').replace(/0+$/, '')}Z`;
}

/** Standard base64 with padding. */
export function encodeBase64(value: Uint8Array): string {
  let binary = '';
  for (const byte of value) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** A JSON value as an object to read from; absent and null are an empty one. */
export function objectOf(value: JsonValue | undefined, path: string): JsonObject {
  return new JsonObject({ value: value ?? null }, path).object('value') ?? new JsonObject({}, path);
}
