import { Code, SwarmError } from '../base/index.js';

/** One element of DER: its tag byte, its content, and all of its bytes. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly raw: Uint8Array;
}

/** Tag bytes that keys need. Source: X.690. */
export const Tag = {
  INTEGER: 0x02,
  OCTET_STRING: 0x04,
  BIT_STRING: 0x03,
  NULL: 0x05,
  OID: 0x06,
  SEQUENCE: 0x30,
  CONTEXT_0: 0xa0,
} as const;

/** An element from its parts. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([Uint8Array.of(tag), lengthBytes(length), ...contents]);
}

/** An INTEGER of a small non-negative number. */
export function derInteger(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  if (bytes.length === 0 || (bytes[0] ?? 0) >= 0x80) bytes.unshift(0);
  return der(Tag.INTEGER, Uint8Array.from(bytes));
}

/** The value of an INTEGER's content; throws when it is negative or does not fit 48 bits. */
export function integerValue(content: Uint8Array): number {
  if (content.length === 0 || content.length > 6 || (content[0] ?? 0) >= 0x80) throw malformed();
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** An OBJECT IDENTIFIER from its encoded content in hex. */
export function derOid(hex: string): Uint8Array {
  return der(Tag.OID, Buffer.from(hex, 'hex'));
}

/** The elements that follow each other in `bytes`; throws InvalidArgument when they do not fill it exactly. */
export function readElements(bytes: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0;
    const [length, start] = readLength(bytes, at + 1);
    if (start + length > bytes.length) throw malformed();
    elements.push({ tag, content: bytes.subarray(start, start + length), raw: bytes.subarray(at, start + length) });
    at = start + length;
  }
  return elements;
}

/** The children of the one SEQUENCE that `bytes` is. */
export function readSequence(bytes: Uint8Array): readonly DerElement[] {
  const [element, ...rest] = readElements(bytes);
  if (element === undefined || rest.length > 0) throw malformed();
  return children(element);
}

/** The children of a SEQUENCE element. */
export function children(element: DerElement | undefined): readonly DerElement[] {
  return readElements(contentOf(element, Tag.SEQUENCE));
}

/** The content of an element that must have this tag. */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) throw malformed();
  return element.content;
}

/** Whether an element is the OBJECT IDENTIFIER with this encoded content in hex. */
export function isOid(element: DerElement | undefined, hex: string): boolean {
  return Buffer.from(contentOf(element, Tag.OID)).toString('hex') === hex;
}

function lengthBytes(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.of(0x80 | bytes.length, ...bytes);
}

function readLength(bytes: Uint8Array, at: number): readonly [length: number, next: number] {
  const first = bytes[at];
  if (first === undefined) throw malformed();
  if (first < 0x80) return [first, at + 1];
  const count = first & 0x7f;
  if (count === 0 || count > 4 || at + count >= bytes.length) throw malformed();
  let length = 0;
  for (let i = 1; i <= count; i++) length = length * 256 + (bytes[at + i] ?? 0);
  return [length, at + 1 + count];
}

function malformed(): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, 'malformed DER');
}
