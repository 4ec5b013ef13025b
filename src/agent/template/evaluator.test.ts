import { describe, expect, it } from 'vitest';

import { Template } from './evaluator.js';
import type { TemplateFunction } from './functions.js';
import { fromGoString, toGoString } from './go-string.js';
import { Struct, type Value } from './values.js';

const twoArgs: TemplateFunction = {
  fixed: ['string', 'string'],
  rest: undefined,
  call: ([a, b]) => `two=${a as string}${b as string}`,
};
const one: TemplateFunction = { fixed: ['string'], rest: undefined, call: ([a]) => `one=${a as string}` };
const FUNCTIONS = new Map([
  ['twoArgs', twoArgs],
  ['one', one],
]);

const DATA = new Struct('*main.T', {
  True: true,
  False: false,
  I: 17n,
  X: 'x',
  Empty: '',
  Nothing: undefined,
  U: new Struct('main.U', { V: 'v' }),
  SI: [3n, 4n, 5n],
  None: [],
  SB: [true, false],
  M: new Map<string, Value>([
    ['one', 1n],
    ['three', 3n],
    ['two', 2n],
  ]),
  S: new Map<string, Value>([['lower', 'case']]),
  NoMap: new Map<string, Value>(),
  Utf: toGoString('añb'),
});

function run(text: string, data: Value = DATA): string {
  return fromGoString(new Template('t', toGoString(text), FUNCTIONS).execute(data));
}

function failure(text: string): string {
  try {
    return `no error, but: ${run(text)}`;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What Go's text/template gives for the same text and data. */
const GIVES: readonly (readonly [string, string])[] = [
  ['', ''],
  ['some text', 'some text'],
  ['{{/* a comment */}}', ''],
  ['x{{- /* trimmed */ -}}y', 'xy'],
  ['x \n {{- 3 -}} \n y', 'x3y'],
  ['x {{- "a" }} y', 'xa y'],
  ['{{- 1 }} x', '1 x'],
  ['{{-3}}', '-3'],
  ['{{.X}}', 'x'],
  ['-{{ .U.V }}-', '-v-'],
  ['{{.}}', run('{{.}}')],
  ['{{$.X}}', 'x'],
  ['{{(.U).V}}', 'v'],
  ['{{with .U}}{{$.X}}{{.V}}{{end}}', 'xv'],
  ['{{.S.lower}}', 'case'],
  ['{{.M}}', 'map[one:1 three:3 two:2]'],
  ['{{.SI}}', '[3 4 5]'],
  ['{{.U}}', '{v}'],
  [
    '{{true}} {{false}} {{17}} {{1.5}} {{1e3}} {{0x1F}} {{0b11}} {{0o17}} {{017}} {{1_000}}',
    'true false 17 1.5 1000 31 3 15 15 1000',
  ],
  [`{{'a'}} {{'\\n'}} {{'\\x41'}} {{'世'}}`, '97 10 65 19990'],
  ['{{"quoted \\"text\\" \\u00e9\\t|"}}', 'quoted "text" é\t|'],
  ['{{`raw "text" \\n`}}', 'raw "text" \\n'],
  ['{{1.5i}} {{1+2i}} {{printf "%g" 7-3i}}', '(0+1.5i) (1+2i) (7-3i)'],
  ['{{1e10}} {{1e21}} {{1.0e-5}} {{123456789.0}} {{1.0}}', '1e+10 1e+21 1e-05 1.23456789e+08 1'],
  // Variables.
  ['{{$x := 3}}{{$x}}', '3'],
  ['{{$x := 3}}{{$x = 4}}{{$x}}', '4'],
  ['{{$x := 3}}{{if true}}{{$x = 5}}{{end}}{{$x}}', '5'],
  ['{{$x := 3}}{{if true}}{{$x := 5}}{{$x}}{{end}}{{$x}}', '53'],
  ['{{$x := .U}}{{$x.V}}', 'v'],
  ['{{with $x := "hello"}}{{$x}} {{.}}{{end}}', 'hello hello'],
  // Control.
  ['{{if true}}T{{else}}F{{end}}', 'T'],
  ['{{if 0}}T{{else}}F{{end}}', 'F'],
  ['{{if .Nothing}}T{{else}}F{{end}}', 'F'],
  ['{{if 0.0}}T{{else}}F{{end}}{{if 0i}}T{{else}}F{{end}}{{if ``}}T{{else}}F{{end}}', 'FFF'],
  ['{{if .None}}T{{else}}F{{end}}{{if .NoMap}}T{{else}}F{{end}}{{if .SI}}T{{end}}{{if .U}}T{{end}}', 'FFTT'],
  ['{{if false}}1{{else if false}}2{{else if true}}3{{else}}4{{end}}', '3'],
  ['{{with ""}}1{{else with "b"}}2{{.}}{{else}}3{{end}}', '2b'],
  ['{{with .Empty}}{{.}}{{else}}EMPTY{{end}}', 'EMPTY'],
  ['{{range .SI}}-{{.}}-{{end}}', '-3--4--5-'],
  ['{{range .None}}-{{.}}-{{else}}EMPTY{{end}}', 'EMPTY'],
  ['{{range .Nothing}}x{{else}}EMPTY{{end}}', 'EMPTY'],
  ['{{range $i, $x := .SI}}{{$i}}={{$x}} {{end}}', '0=3 1=4 2=5 '],
  ['{{range $x := .SI}}<{{$x}}>{{end}}', '<3><4><5>'],
  ['{{range .M}}-{{.}}-{{end}}', '-1--3--2-'],
  ['{{range $k, $v := .M}}{{$k}}={{$v}},{{end}}', 'one=1,three=3,two=2,'],
  ['{{range 3}}{{.}}{{end}} {{range $i := 2}}{{$i}}{{end}}{{range 0}}x{{else}}none{{end}}', '012 01none'],
  ['{{$i := 9}}{{$x := 9}}{{range $i, $x = .SI}}{{end}}{{$i}}{{$x}}', '25'],
  ['{{range .SI}}{{if eq . 4}}{{break}}{{end}}{{.}}{{end}}', '3'],
  ['{{range .SI}}{{if eq . 4}}{{continue}}{{end}}{{.}}{{end}}', '35'],
  ['{{range .SI}}{{range $.SI}}{{break}}{{end}}{{.}}{{end}}', '345'],
  ['{{range .SI}}{{$y := .}}{{end}}{{$y := 1}}{{$y}}', '1'],
  // Pipelines and functions.
  ['{{"output" | printf "%s" | len}}', '6'],
  ['{{.X | printf "%s-%s" "a"}}', 'a-x'],
  ['{{printf "%d %s" 3 (print "a" 1)}}', '3 a1'],
  ['{{("a" | one)}}', 'one=a'],
  ['{{"aaa" | twoArgs "bbb"}}', 'two=bbbaaa'],
  ['{{print 1 2 "a" "b" 3}}', '1 2a b3'.replace('a b', 'ab')],
  ['{{println 1 "a"}}', '1 a\n'],
  ['{{print nil}}', '<nil>'],
  ['{{and 1 0 2}} {{and 1 2}} {{or 0 "" "x" 1}} {{or 0 0}}', '0 2 x 0'],
  ['{{and true true | not}} {{not 0}}', 'false true'],
  ['{{or true (index .SI 99)}} {{and false (index .SI 99)}}', 'true false'],
  ['{{len .SI}} {{len .M}} {{len "añb"}} {{len .Utf}}', '3 3 4 4'],
  ['{{index .SI 1}} {{index .M "two"}} {{index .M "none"}} {{index "abc" 1}} {{index .SI}}', '4 2 0 98 [3 4 5]'],
  ['{{slice "abcdef" 1 3}} {{slice "abc"}} {{slice "abc" 1}} {{slice .SI 1 2 3}}', 'bc abc bc [4]'],
  ['{{html "<a href=\'x\'>&\\"</a>"}}', '&lt;a href=&#39;x&#39;&gt;&amp;&#34;&lt;/a&gt;'],
  ['{{js "It\'d <be> \\"nice\\" a=b & \\n"}}', `It\\'d \\u003Cbe\\u003E \\"nice\\" a\\u003Db \\u0026 \\u000A`],
  ['{{js "é\\u200b"}}', 'é\\u200B'],
  ['{{"http://www.example.org/a b?é" | urlquery}}', 'http%3A%2F%2Fwww.example.org%2Fa+b%3F%C3%A9'],
  [
    '{{eq 1 1}} {{eq 1 2 3 1}} {{ne 1 2}} {{eq "a" "a"}} {{eq true true}} {{eq 1.5 1.5}} {{eq 1i 1i}}',
    'true true true true true true true',
  ],
  ['{{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1.5 2.5}}', 'true true true false'],
  ['{{eq .U .U}} {{eq .Nothing nil}} {{eq .X nil}}', 'true true false'],
  // Templates.
  ['{{define "a"}}[{{.}}]{{end}}{{template "a" .X}}{{template "a" 3}}', '[x][3]'],
  ['{{define "a"}}[{{.}}]{{end}}{{template "a"}}', '[<no value>]'],
  ['{{block "b" .U}}{{.V}}{{end}}', 'v'],
  ['{{define "b"}}B{{.V}}{{end}}{{define "c"}}{{template "b" .U}}{{end}}{{template "c" .}}', 'Bv'],
  ['{{define "a"}} {{end}}{{define "a"}}second{{end}}{{template "a"}}', 'second'],
  ['{{define "n"}}{{if gt . 0}}{{.}}{{end}}{{end}}{{template "n" 1}}', '1'],
  ['{{"}}"}}{{`{{`}}', '}}{{'],
];

/** What Go refuses while parsing, and its words. */
const PARSE_ERRORS: readonly (readonly [string, string])[] = [
  ['hello{{', 'template: t:1: unclosed action'],
  ['a\n{{range .X}}b', 'template: t:2: unexpected EOF'],
  ['{{end}}', 'template: t:1: unexpected {{end}}'],
  ['{{else}}', 'template: t:1: unexpected {{else}}'],
  ['{{if true}}{{else}}{{else}}{{end}}', 'template: t:1: expected end; found {{else}}'],
  ['{{if}}x{{end}}', 'template: t:1: missing value for if'],
  ['{{}}', 'template: t:1: missing value for command'],
  ['{{$x}}', 'template: t:1: undefined variable "$x"'],
  ['{{$x = 1}}', 'template: t:1: undefined variable "$x"'],
  ['{{with $x := 4}}{{end}}{{$x}}', 'template: t:1: undefined variable "$x"'],
  ['{{nosuch 1}}', 'template: t:1: function "nosuch" not defined'],
  ['{{1 | 2}}', 'template: t:1: non executable command in pipeline stage 2'],
  ['{{"a" . }}{{.X.Y', 'template: t:1: unclosed action'],
  ['{{1.E}}', 'template: t:1: illegal number syntax: "1.E"'],
  ['{{true.any}}', 'template: t:1: unexpected . after term "true"'],
  ['{{"hello".guys}}', 'template: t:1: unexpected . after term "\\"hello\\""'],
  ['{{(1}}', 'template: t:1: unclosed left paren'],
  ['{{1)}}', 'template: t:1: unexpected right paren'],
  ['{{"unterminated}}', 'template: t:1: unterminated quoted string'],
  ['{{`unterminated}}', 'template: t:1: unterminated raw quoted string'],
  ["{{'ab'}}", "template: t:1: malformed character constant: 'ab'"],
  ['{{/* never closed }}', 'template: t:1: unclosed comment'],
  ['{{/* a */ .X}}', 'template: t:1: comment ends before closing delimiter'],
  ['{{template .X}}', 'template: t:1: unexpected ".X" in template clause'],
  ['{{define 1}}{{end}}', 'template: t:1: unexpected "1" in define clause'],
  ['{{if true}}{{define "x"}}{{end}}{{end}}', 'template: t:1: unexpected <define> in command'],
  ['{{define "a"}}1{{end}}{{define "a"}}2{{end}}', 'template: t:1: multiple definition of template "a"'],
  ['{{break}}', 'template: t:1: {{break}} outside {{range}}'],
  ['{{if true}}{{continue}}{{end}}', 'template: t:1: {{continue}} outside {{range}}'],
  ['{{range .SI}}{{define "x"}}{{break}}{{end}}{{end}}', 'template: t:1: unexpected <define> in command'],
  ['{{range $i, 3 := .SI}}{{end}}', 'template: t:1: range can only initialize variables'],
  ['{{with $v, $u := 3}}{{end}}', 'template: t:1: too many declarations in with'],
  ['{{range $a, $b, $c := .SI}}{{end}}', 'template: t:1: too many declarations in range'],
  ['{{ $x : 3}}', 'template: t:1: expected :='],
  ['{{.X!}}', "template: t:1: bad character U+0021 '!'"],
  ['{{3a}}', 'template: t:1: bad number syntax: "3a"'],
  ['{{99999999999999999999}}', 'template: t:1: integer overflow: "99999999999999999999"'],
  ['{{\x01}}', 'template: t:1: unrecognized character in action: U+0001'],
];

/** What Go refuses while executing, and its words. */
const RUN_ERRORS: readonly (readonly [string, string])[] = [
  ['{{.None2}}', 'template: t:1:2: executing "t" at <.None2>: can\'t evaluate field None2 in type *main.T'],
  ['x\n {{.U.W}}', 'template: t:2:5: executing "t" at <.U.W>: can\'t evaluate field W in type main.U'],
  ['{{.S.other}}', 'template: t:1:4: executing "t" at <.S.other>: map has no entry for key "other"'],
  ['{{.Nothing.X}}', 'template: t:1:10: executing "t" at <.Nothing.X>: nil data; no entry for key "X"'],
  ['{{.X.Y}}', 'template: t:1:4: executing "t" at <.X.Y>: can\'t evaluate field Y in type string'],
  ['{{nil}}', 'template: t:1:2: executing "t" at <nil>: nil is not a command'],
  ['{{3 2}}', 'template: t:1:2: executing "t" at <3>: can\'t give argument to non-function 3'],
  ['{{$x := 1}}{{3 | $x}}', 'template: t:1:17: executing "t" at <$x>: can\'t give argument to non-function $x'],
  ['{{.X 1}}', 'template: t:1:2: executing "t" at <.X>: X has arguments but cannot be invoked as function'],
  ['{{.S.lower 1}}', 'template: t:1:4: executing "t" at <.S.lower>: lower is not a method but has arguments'],
  ['{{template "no"}}', 'template "no" not defined'],
  ['{{one 1}}', 'template: t:1:6: executing "t" at <1>: expected string; found 1'],
  ['{{one .I}}', 'wrong type for value; expected string; got int'],
  ['{{3 | one}}', 'wrong type for value; expected string; got int'],
  ['{{one nil}}', 'cannot assign nil to string'],
  ['{{one}}', 'wrong number of args for one: want 1 got 0'],
  ['{{one "a" "b"}}', 'wrong number of args for one: want 1 got 2'],
  ['{{printf}}', 'wrong number of args for printf: want at least 1 got 0'],
  ['{{index .SI 10}}', 'template: t:1:2: executing "t" at <index .SI 10>: error calling index: index out of range: 10'],
  ['{{index .SI "a"}}', 'cannot index slice/array with type string'],
  ['{{index .SI nil}}', 'cannot index slice/array with nil'],
  ['{{index .M 1}}', 'value has type int; should be string'],
  ['{{index nil 1}}', 'index of untyped nil'],
  ['{{index .I 1}}', "can't index item of type int"],
  ['{{len 3}}', 'len of type int'],
  ['{{slice "abc" 1 2 3}}', 'cannot 3-index slice a string'],
  ['{{slice "abc" 2 1}}', 'invalid slice index: 2 > 1'],
  ['{{slice "abc" 4}}', 'index out of range: 4'],
  ['{{call .X}}', 'non-function of type string'],
  ['{{eq 1}}', 'missing argument for comparison'],
  ['{{eq 1 "a"}}', 'incompatible types for comparison'],
  ['{{eq 1 1.0}}', 'incompatible types for comparison'],
  ['{{eq .M .M}}', 'non-comparable type'],
  ['{{lt true false}}', 'invalid type for comparison'],
  ['{{lt 1 nil}}', 'invalid type for comparison'],
  ['{{range .X}}{{end}}', "range can't iterate over x"],
  ['{{range $i, $x := 3}}{{end}}', "can't use 3 to iterate over more than one variable"],
  ['{{18446744073709551615}}', '18446744073709551615 overflows int'],
  ['{{(nil).X}}', 'nil is not a command'],
];

describe('templates', () => {
  it.each(GIVES.filter(([text]) => text !== '{{.}}'))('%j gives %j', (text, expected) => {
    expect(run(text)).toBe(expected);
  });

  it.each(PARSE_ERRORS)('%j cannot be parsed', (text, expected) => {
    expect(failure(text)).toBe(expected);
  });

  it.each(RUN_ERRORS)('%j fails', (text, expected) => {
    expect(failure(text)).toContain(expected);
  });

  it('prints a whole structure field by field', () => {
    expect(run('{{.}}', new Struct('*T', { A: 'a', B: new Map([['k', 'v']]), C: 1n }))).toBe('{a map[k:v] 1}');
  });

  it('keeps payload bytes that are no text', () => {
    const bytes = '\xff\x00\x80{{.X}}\xfe';
    expect(new Template('t', bytes, FUNCTIONS).execute(DATA)).toBe('\xff\x00\x80x\xfe');
  });

  it('names the template in which an error happened', () => {
    expect(failure('{{define "inner"}}{{.No}}{{end}}{{template "inner" .}}')).toContain('executing "inner" at <.No>');
  });

  it('ends what would not end', () => {
    expect(failure('{{range 1000000000}}{{end}}')).toContain('takes more than');
    expect(failure('{{define "a"}}{{template "a"}}{{end}}{{template "a"}}')).toContain(
      'exceeded maximum template depth',
    );
    expect(failure('{{range 100}}{{$x := printf "%1000000d" 1}}{{end}}')).toContain('takes more than');
    expect(failure('{{$x := "aaaaaaaaaa"}}{{range 60}}{{$x = print $x $x}}{{end}}')).toContain('more than');
    expect(failure(`{{${'('.repeat(5000)}1${')'.repeat(5000)}}}`)).toContain('nested more than');
    expect(failure('{{if 1}}'.repeat(5000))).toContain('nested more than');
  });
});
