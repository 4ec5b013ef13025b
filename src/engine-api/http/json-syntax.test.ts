import fc from 'fast-check';
import { expect, test } from 'vitest';

import { decodeBase64 } from './base64.js';
import { checkJsonSyntax } from './json-syntax.js';

test.each([
  ['{', 'unexpected EOF'],
  ['[1,', 'unexpected EOF'],
  ['"abc', 'unexpected EOF'],
  ['tru', 'unexpected EOF'],
  ['-', 'unexpected EOF'],
  ['{"a"', 'unexpected EOF'],
  ['nonsense', "invalid character 'o' in literal null (expecting 'u')"],
  ['truE', "invalid character 'E' in literal true (expecting 'e')"],
  ['x', "invalid character 'x' looking for beginning of value"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
  ['[1 2]', "invalid character '2' after array element"],
  ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1e+x', "invalid character 'x' in exponent of numeric literal"],
  ['['.repeat(10_001), 'exceeded max depth'],
])('%j is refused in the words of Go', (text, message) => {
  expect(checkJsonSyntax(text)).toEqual({ kind: 'error', message });
});

test('nothing but space is no value', () => {
  expect(checkJsonSyntax(' \n\t\r')).toEqual({ kind: 'empty' });
});

test('every JSON text is a value that ends where it ends', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('', ' ', '\n{}'), (value, rest) => {
      const text = JSON.stringify(value, undefined, 1);
      expect(checkJsonSyntax(` ${text}${rest}`)).toEqual({ kind: 'value', end: text.length + 1 });
    }),
  );
});

test('what JSON.parse takes is taken and what it refuses is refused', () => {
  const pieces = fc.array(
    fc.constantFrom('{', '}', '[', ']', ',', ':', '"a"', '1', '-0.5e3', 'null', 'true', ' ', '01', '"'),
    {
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join('');
      const checked = checkJsonSyntax(text);
      const taken = checked.kind === 'value' && text.slice(checked.end).trim() === '';
      expect(taken).toBe(isJson(text));
    }),
    { numRuns: 2_000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test('base64 comes back as the bytes it was made of, line breaks and all', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), (bytes, at) => {
      const text = Buffer.from(bytes).toString('base64');
      const cut = at % (text.length + 1);
      expect(Array.from(decodeBase64(`${text.slice(0, cut)}\r\n${text.slice(cut)}`))).toEqual(Array.from(bytes));
    }),
  );
});

test.each([
  ['???', 0],
  ['A', 0],
  ['AAA', 0],
  ['AA=A', 2],
  ['AA=', 3],
  ['A===', 1],
  ['=AAA', 0],
  ['AAA=A', 4],
  ['AAAA*', 4],
  ['AA-_', 2],
])('%s is wrong at byte %d, as Go counts', (text, at) => {
  expect(() => decodeBase64(text)).toThrow(`illegal base64 data at input byte ${at}`);
});
