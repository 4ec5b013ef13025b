const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const SEQUENCE_BYTES_MAX = 4;

/** Bytes as Go's `%q` prints them: text with escapes, bytes that are no UTF-8 as `\x`. */
export function goQuote(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    if (character === undefined) text += `\\x${pad(bytes[at] ?? 0, 2)}`;
    else text += escaped(character.text);
    at += character?.bytes ?? 1;
  }
  return `"${text}"`;
}

function characterAt(bytes: Uint8Array, at: number): { readonly text: string; readonly bytes: number } | undefined {
  for (let count = 1; count <= SEQUENCE_BYTES_MAX && at + count <= bytes.length; count += 1) {
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(at, at + count));
      return { text, bytes: count };
    } catch {
      // Not a whole character yet.
    }
  }
  return undefined;
}

function escaped(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  if (PRINTABLE.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${pad(code, 2)}`;
  return code < 0x1_0000 ? `\\u${pad(code, 4)}` : `\\U${pad(code, 8)}`;
}

function pad(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
