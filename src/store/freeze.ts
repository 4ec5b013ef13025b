/**
 * Freezes a message with all that hangs from it. What is frozen already is taken as frozen throughout, so
 * parts that objects share (specs, networks) are walked once. Bytes cannot be frozen and are skipped.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return value;
  Object.freeze(value);
  if (Array.isArray(value)) {
    for (const item of value) deepFreeze<unknown>(item);
    return value;
  }
  const fields = value as Readonly<Record<string, unknown>>;
  for (const name in fields) deepFreeze(fields[name]);
  return value;
}

/** Whether two messages say the same: fields, lists, maps, bytes, and fields this program does not know. */
export function sameMessage(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return Number.isNaN(a) && Number.isNaN(b);
  if (ArrayBuffer.isView(a) || ArrayBuffer.isView(b)) return sameBytes(a, b);
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  return sameFields(left, right) && sameNames(left, right);
}

function sameFields(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  for (const name in a) if (!sameMessage(a[name], b[name])) return false;
  return true;
}

/** No field is set only in `b`. */
function sameNames(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  for (const name in b) if (b[name] !== undefined && a[name] === undefined) return false;
  return true;
}

function sameBytes(a: unknown, b: unknown): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array) || a.length !== b.length) return false;
  return a.every((byte, index) => byte === b[index]);
}
