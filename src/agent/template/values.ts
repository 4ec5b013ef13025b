/** A complex number, which Go templates can write and print. */
export class Complex {
  constructor(
    readonly real: number,
    readonly imaginary: number,
  ) {}
}

/** A Go struct: its type's name and its fields in order. It has no methods. */
export class Struct {
  readonly fields: ReadonlyMap<string, Value>;

  constructor(
    readonly typeName: string,
    fields: Readonly<Record<string, Value>>,
  ) {
    this.fields = new Map(Object.entries(fields));
  }
}

/**
 * A value inside a template. Strings are Go strings (see `go-string.ts`), bigint is int, number float64;
 * undefined is nil or no value at all.
 */
export type Value =
  | undefined
  | boolean
  | string
  | bigint
  | number
  | Complex
  | Struct
  | readonly Value[]
  | ReadonlyMap<string, Value>;

/** Whether a value is a slice. */
export function isSlice(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Whether a value is a map. */
export function isMap(value: Value): value is ReadonlyMap<string, Value> {
  return value instanceof Map;
}

/** The name of a value's Go type, as `%T` prints it. */
export function typeName(value: Value): string {
  switch (typeof value) {
    case 'undefined':
      return '<nil>';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float64';
    default:
  }
  if (value instanceof Complex) return 'complex128';
  if (value instanceof Struct) return value.typeName;
  if (isMap(value)) return `map[string]${elementType(value.values())}`;
  return `[]${elementType(value.values())}`;
}

function elementType(items: Iterable<Value>): string {
  const names = new Set([...items].map(typeName));
  const [name = 'string'] = names;
  return names.size <= 1 ? name : 'interface {}';
}

/** Whether a value counts as true: not the zero value of its type. */
export function isTrue(value: Value): boolean {
  if (value instanceof Complex) return value.real !== 0 || value.imaginary !== 0;
  if (isSlice(value)) return value.length > 0;
  if (isMap(value)) return value.size > 0;
  return Boolean(value);
}

/** The keys of a map in Go's printing and ranging order. */
export function sortedKeys(map: ReadonlyMap<string, Value>): string[] {
  return [...map.keys()].sort((a, b) => (a < b ? -1 : 1));
}
