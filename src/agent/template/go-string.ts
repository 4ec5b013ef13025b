/**
 * Go strings are bytes. Inside the template engine a string holds one byte per character (0 to 255), so
 * that lengths, indexes and slices count as in Go and payloads that are no text pass unharmed.
 */

/** The UTF-8 bytes of a text. */
export function toGoString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The text of UTF-8 bytes; what is no UTF-8 becomes U+FFFD. */
export function fromGoString(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A payload as a Go string. */
export function bytesToGoString(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
}

/** A Go string as a payload. */
export function goStringToBytes(bytes: string): Uint8Array {
  return new Uint8Array(Buffer.from(bytes, 'latin1'));
}

/** The code point and width of the UTF-8 sequence at `at`; U+FFFD of width 1 where there is none. */
export function decodeRune(bytes: string, at: number): { readonly rune: number; readonly width: number } {
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return { rune: first, width: 1 };
  const width = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const text = fromGoString(bytes.slice(at, at + width));
  const rune = text.codePointAt(0) ?? 0xfffd;
  const valid = first >= 0xc2 && first <= 0xf4 && encodeRune(rune) === bytes.slice(at, at + width);
  return valid ? { rune, width } : { rune: 0xfffd, width: 1 };
}

/** The UTF-8 bytes of a code point; those of U+FFFD for what is none. */
export function encodeRune(rune: number): string {
  const valid = rune >= 0 && rune <= 0x10ffff && !(rune >= 0xd800 && rune <= 0xdfff);
  return toGoString(String.fromCodePoint(valid ? rune : 0xfffd));
}

/** All code points of a Go string. */
export function runesOf(bytes: string): number[] {
  const runes: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { rune, width } = decodeRune(bytes, at);
    runes.push(rune);
    at += width;
  }
  return runes;
}

/** Number of code points. */
export function runeCount(bytes: string): number {
  return runesOf(bytes).length;
}

/** Whether Go's unicode.IsPrint holds: letters, marks, numbers, punctuation, symbols and the plain space. */
export function isPrintable(rune: number): boolean {
  return rune === 0x20 || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(String.fromCodePoint(rune));
}

/** A letter, digit or underscore, as in names. */
export function isAlphaNumeric(rune: number): boolean {
  return /^[_\p{L}\p{Nd}]$/u.test(String.fromCodePoint(rune));
}
