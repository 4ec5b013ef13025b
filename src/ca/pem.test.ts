import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodePem, normalizePem, parseOnePem, parsePem } from './pem.js';

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/);
const value = fc.stringMatching(/^([!-~]([ -~]{0,40}[!-~])?)?$/);
const type = fc.constantFrom('PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'EC PRIVATE KEY', 'CERTIFICATE');

describe('PEM', () => {
  it('gives back every block with all its headers', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            type,
            headers: fc.dictionary(name, value, { maxKeys: 6 }),
            der: fc.uint8Array({ maxLength: 300 }),
          }),
        ),
        (blocks) => {
          const source = blocks.map((b) => ({ type: b.type, headers: new Map(Object.entries(b.headers)), der: b.der }));
          const parsed = parsePem(source.map(encodePem).join('between\n'), 'x');
          expect(parsed.map((b) => ({ ...b, der: [...b.der] }))).toEqual(
            source.map((b) => ({ ...b, der: [...b.der] })),
          );
        },
      ),
    );
  });

  it('is written as Go writes it: sorted headers, an empty line, 64 characters in a line', () => {
    const headers = new Map([
      ['raft-dek', 'abc='],
      ['kek-version', '7'],
      ['Proc-Type', '4,X'],
    ]);
    const der = Uint8Array.from({ length: 50 }, (_, i) => i);
    expect(encodePem({ type: 'PRIVATE KEY', headers, der })).toBe(
      '-----BEGIN PRIVATE KEY-----\nProc-Type: 4,X\nkek-version: 7\nraft-dek: abc=\n\n' +
        'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\nMDE=\n-----END PRIVATE KEY-----\n',
    );
  });

  it('reads other line ends and text around the blocks', () => {
    const block = parseOnePem('hello\r\n-----BEGIN X-----\r\nA: b\r\n\r\nAAEC\r\n-----END X-----\r\nbye', 'x');
    expect([...block.headers]).toEqual([['A', 'b']]);
    expect([...block.der]).toEqual([0, 1, 2]);
  });

  it('drops headers and stray white space when certificates are normalized', () => {
    expect(normalizePem('\n -----BEGIN C-----\nA: b\n\nAA\nEC\n-----END C-----', 'x')).toBe(
      '-----BEGIN C-----\nAAEC\n-----END C-----\n',
    );
  });

  it.each([
    ['nothing in it', 'hello', 'x holds no PEM block'],
    ['no PEM at all', '', 'x holds no PEM block'],
    ['characters that are not base64', '-----BEGIN X-----\nA?EC\n-----END X-----', 'x holds a damaged X block'],
    ['a cut body', '-----BEGIN X-----\nAAE\n-----END X-----', 'x holds a damaged X block'],
    [
      'two blocks',
      '-----BEGIN X-----\nAAEC\n-----END X-----\n-----BEGIN X-----\nAAEC\n-----END X-----\n',
      'x holds 2 PEM blocks',
    ],
    ['no end', '-----BEGIN X-----\nAAEC\n', 'x holds no PEM block'],
  ])('refuses %s', (_, source, message) => {
    expect(() => parseOnePem(source, 'x')).toThrow(message);
  });

  it('refuses a file that is too large before looking into it', () => {
    expect(() => parsePem('x'.repeat(2 ** 20 + 1), 'x')).toThrow('x is larger than');
  });

  it.each([
    ['a:b', 'x'],
    ['', 'x'],
    ['a\nb', 'x'],
    ['a', 'x\ny'],
    ['a', ' x'],
  ])('does not write the header %j: %j', (key, content) => {
    expect(() => encodePem({ type: 'X', headers: new Map([[key, content]]), der: new Uint8Array() })).toThrow(
      'cannot be written',
    );
  });
});
