import { ScalarType, type DescEnum, type DescField, type DescMessage } from '@bufbuild/protobuf';

/** Fields that are never shown, by message type: keys, payloads of secrets, credentials. */
const HIDDEN: Readonly<Record<string, readonly string[]>> = {
  'docker.swarmkit.v1.SecretSpec': ['data'],
  'docker.swarmkit.v1.RootCA': ['caKey'],
  'docker.swarmkit.v1.RootRotation': ['caKey'],
  'docker.swarmkit.v1.CAConfig': ['signingCaKey'],
  'docker.swarmkit.v1.EncryptionKey': ['key'],
  'docker.swarmkit.v1.AcceptancePolicy.RoleAdmissionPolicy.Secret': ['data'],
  'docker.swarmkit.v1.ContainerSpec.PullOptions': ['registryAuth'],
};

const TIMESTAMP = 'google.protobuf.Timestamp';
const DURATION = 'google.protobuf.Duration';

/** Digits of a fraction of a second: nanoseconds. */
const NANO_DIGITS = 9;

type Fields = Readonly<Record<string, unknown>>;

/** Objects as indented JSON text, ended by a line break. */
export function renderJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/**
 * A message as plain JSON values: names as in protobuf's JSON form, scalars and lists always present, enums by
 * name, bytes in base64, times in RFC 3339, durations as `1.5s`. Integers too large for a JSON number are
 * strings. Keys, secrets and credentials are left out.
 */
export function messageJson(schema: DescMessage, message: object): Record<string, unknown> {
  const values = message as Fields;
  const result: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (HIDDEN[schema.typeName]?.includes(field.localName) === true) continue;
    const value = valueOf(field, values);
    if (value !== undefined) result[field.jsonName] = fieldJson(field, value);
  }
  return result;
}

function valueOf(field: DescField, values: Fields): unknown {
  if (field.oneof === undefined) return values[field.localName];
  const chosen = values[field.oneof.localName] as { readonly case?: string; readonly value?: unknown } | undefined;
  return chosen?.case === field.localName ? chosen.value : undefined;
}

function fieldJson(field: DescField, value: unknown): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return scalarJson(value, field.scalar);
    case 'enum':
      return enumJson(field.enum, value);
    case 'message':
      return subMessageJson(field.message, value);
    case 'list':
      return (value as readonly unknown[]).map((item) => itemJson(field, item));
    case 'map':
      return Object.fromEntries(
        Object.entries(value as Fields)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, item]) => [key, itemJson(field, item)]),
      );
  }
}

function itemJson(field: DescField & { readonly fieldKind: 'list' | 'map' }, item: unknown): unknown {
  if (field.message !== undefined) return subMessageJson(field.message, item);
  if (field.enum !== undefined) return enumJson(field.enum, item);
  return scalarJson(item, field.scalar);
}

/** Wrapper messages such as BoolValue are plain values in memory, and in JSON. */
function subMessageJson(schema: DescMessage, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return scalarJson(value, undefined);
  switch (schema.typeName) {
    case TIMESTAMP:
      return timestampText(value as { seconds: bigint; nanos: number });
    case DURATION:
      return durationText(value as { seconds: bigint; nanos: number });
    default:
      return messageJson(schema, value);
  }
}

function scalarJson(value: unknown, type: ScalarType | undefined): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'number' && type === ScalarType.FLOAT) return shortFloat(value);
  return value;
}

function enumJson(schema: DescEnum, value: unknown): unknown {
  return schema.value[value as number]?.name ?? value;
}

/** RFC 3339 in UTC with as many digits as are needed. */
export function timestampText({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): string {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return `${seconds} seconds since 1970`;
  return `${date.toISOString().slice(0, -'.000Z'.length)}${fraction(nanos)}Z`;
}

function durationText({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): string {
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  return `${sign}${seconds < 0n ? -seconds : seconds}${fraction(Math.abs(nanos))}s`;
}

function fraction(nanos: number): string {
  return nanos === 0 ? '' : `.${nanos.toString().padStart(NANO_DIGITS, '0').replace(/0+$/, '')}`;
}

/** The shortest number that is this one in single precision: 0.1 rather than 0.10000000149011612. */
function shortFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
