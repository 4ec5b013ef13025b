import { describe, expect, it } from 'vitest';

import { sprintf } from './format.js';
import { fromGoString, toGoString } from './go-string.js';
import { Complex, Struct, type Value } from './values.js';

function format(text: string, ...values: Value[]): string {
  return fromGoString(
    sprintf(
      toGoString(text),
      values.map((v) => (typeof v === 'string' ? toGoString(v) : v)),
    ),
  );
}

/** Format, values, and what Go's fmt.Sprintf gives. */
const CASES: readonly (readonly [string, readonly Value[], string])[] = [
  ['%d', [42n], '42'],
  ['%5d|%-5d|%05d|%+d|% d', [42n, 42n, 42n, 42n, 42n], '   42|42   |00042|+42| 42'],
  ['%d', [-7n], '-7'],
  ['%05d', [-7n], '-0007'],
  ['%.3d|%.0d|%8.3d', [7n, 0n, -7n], '007||    -007'],
  [
    '%b %o %O %x %X %#x %#X %#o %#b',
    [5n, 8n, 8n, 255n, 255n, 255n, 255n, 8n, 5n],
    '101 10 0o10 ff FF 0xff 0XFF 010 0b101',
  ],
  ['%04x', [127n], '007f'],
  ['%c|%q|%U|%#U', [0x4e16n, 0x4e16n, 0x4e16n, 0x4e16n], "世|'世'|U+4E16|U+4E16 '世'"],
  ['%+q', [0x4e16n], "'\\u4e16'"],
  ['%s|%10s|%-10s|%.2s', ['hello', 'hello', 'hello', 'hello'], 'hello|     hello|hello     |he'],
  ['%5s|%.1s', ['éé', 'éé'], '   éé|é'],
  ['%q|%#q|%+q', ['a"b', 'a"b', 'é'], '"a\\"b"|`a"b`|"\\u00e9"'],
  [
    '%x|%X|% x|%#x|%# x|%.2x',
    ['hello', 'hello', 'abc', 'abc', 'abc', 'hello'],
    '68656c6c6f|68656C6C6F|61 62 63|0x616263|0x61 0x62 0x63|6865',
  ],
  ['%v %t', [true, false], 'true false'],
  ['%7t', [true], '   true'],
  ['%v|%e|%f|%g|%G|%E', [1.5, 1.5, 1.5, 1.5, 1e100, 1.5], '1.5|1.500000e+00|1.500000|1.5|1E+100|1.500000E+00'],
  ['%.2f|%8.3f|%08.3f|%+.1f|%-8.1f|', [1.23456, 1.23456, -1.23456, 2.0, 2.0], '1.23|   1.235|-001.235|+2.0|2.0     |'],
  ['%.0f %.0f %.0f %.1f', [0.5, 1.5, 2.5, 0.25], '0 2 2 0.2'],
  ['%.3g|%.10g|%g|%g', [1234.5678, 1234.5678, 1e20, 1e21], '1.23e+03|1234.5678|1e+20|1e+21'],
  ['%v|%v|%v', [1e20, 1e21, 123456789.0], '1e+20|1e+21|1.23456789e+08'],
  ['%6.2f%%', [99.5], ' 99.50%'],
  ['%b', [1.0], '4503599627370496p-52'],
  ['%x|%X|%.2x', [1.0, -0.1, 3.14], '0x1p+00|-0X1.999999999999AP-04|0x1.92p+01'],
  ['%v|%.2f', [new Complex(1, -2), new Complex(1, 2)], '(1-2i)|(1.00+2.00i)'],
  ['%v|%+v', [new Struct('T', { A: 'x', B: 1n }), new Struct('T', { A: 'x', B: 1n })], '{x 1}|{A:x B:1}'],
  ['%#v', [new Struct('T', { A: 'x', B: 1n })], 'T{A:"x", B:1}'],
  [
    '%v|%#v',
    [
      new Map([
        ['b', 'x'],
        ['a', 'y'],
      ]),
      new Map([['a', 'y']]),
    ],
    'map[a:y b:x]|map[string]string{"a":"y"}',
  ],
  [
    '%v|%d|%#v',
    [
      [1n, 2n],
      [1n, 2n],
      ['a', 'b'],
    ],
    '[1 2]|[1 2]|[]string{"a", "b"}',
  ],
  [
    '%5d|%q',
    [
      [1n, 2n],
      ['a', 'b'],
    ],
    '[    1     2]|["a" "b"]',
  ],
  [
    '%T %T %T %T %T %T',
    [1n, 'a', 1.5, true, new Map([['a', 'b']]), undefined],
    'int string float64 bool map[string]string <nil>',
  ],
  ['%v', [undefined], '<nil>'],
  ['%d', [undefined], '%!d(<nil>)'],
  ['%d', ['hi'], '%!d(string=hi)'],
  ['%s', [5n], '%!s(int=5)'],
  ['%z', [5n], '%!z(int=5)'],
  ['%!', [], '%!!(MISSING)'],
  ['%', [], '%!(NOVERB)'],
  ['%d %d', [1n], '1 %!d(MISSING)'],
  ['%d', [1n, 'x'], '1%!(EXTRA string=x)'],
  ['%*d|%-*d|%.*f', [5n, 1n, 5n, 1n, 2n, 1.0], '    1|1    |1.00'],
  ['%*d', ['a', 1n], '%!(BADWIDTH)1'],
  ['%.*d', ['a', 1n], '%!(BADPREC)1'],
  ['%[2]d %[1]d', [1n, 2n], '2 1'],
  ['%[2]*[1]d', [1n, 5n], '    1'],
  ['%[3]d', [1n], '%!d(BADINDEX)'],
  ['%[x]d', [1n], '%!d(BADINDEX)'],
  ['%6.3v|%t', ['hello', 1n], '   hel|%!t(int=1)'],
];

describe('printf', () => {
  it.each(CASES.map(([text, values, expected]) => [text, expected, values] as const))(
    'gives for %s: %s',
    (text, expected, values) => {
      expect(format(text, ...values)).toBe(expected);
    },
  );

  it('does not count unused arguments once they are chosen by index', () => {
    expect(format('%[1]d', 1n, 2n)).toBe('1');
  });
});
