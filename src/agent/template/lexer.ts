import { decodeRune, encodeRune, fromGoString, isAlphaNumeric, isPrintable } from './go-string.js';

/** Kinds of tokens. */
export type TokenKind =
  | 'assign'
  | 'bool'
  | 'char'
  | 'charConstant'
  | 'declare'
  | 'dot'
  | 'eof'
  | 'error'
  | 'field'
  | 'identifier'
  | 'keyword'
  | 'leftDelim'
  | 'leftParen'
  | 'nil'
  | 'number'
  | 'pipe'
  | 'rawString'
  | 'rightDelim'
  | 'rightParen'
  | 'space'
  | 'string'
  | 'text'
  | 'variable';

/** A piece of a template's text. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly position: number;
  readonly line: number;
}

const KEYWORDS = new Set(['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'range', 'template', 'with']);
const LEFT = '{{';
const RIGHT = '}}';
const COMMENT_LEFT = '/*';
const COMMENT_RIGHT = '*/';
const SPACES = ' \t\r\n';
const TERMINATORS = `${SPACES}.,|:)(=`;
const SINGLE: Readonly<Record<string, TokenKind>> = { '=': 'assign', '|': 'pipe', '(': 'leftParen', ')': 'rightParen' };

/** One number, or one part of a complex one: hexadecimal, or anything else. Its syntax is checked later. */
const NUMBER_PART =
  /^[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|(?:0[oO][0-7_]*|0[bB][01_]*|[0-9_]*)(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/;

/** Cuts a template into tokens; the last is `eof` or `error`. */
export function tokenize(input: string): Token[] {
  const lexer = new Lexer(input);
  lexer.run();
  return lexer.tokens;
}

class Lexer {
  readonly tokens: Token[] = [];
  #position = 0;
  #line = 1;
  #parenDepth = 0;

  constructor(readonly input: string) {}

  run(): void {
    while (this.#text() && this.#action());
  }

  /** Text up to the next action; false at the end or on an error. */
  #text(): boolean {
    const start = this.#position;
    const left = this.input.indexOf(LEFT, start);
    const end = left === -1 ? this.input.length : left;
    const trims = left !== -1 && this.#hasLeftTrim(left + LEFT.length);
    const text = this.input.slice(start, end);
    const kept = trims ? text.replace(/[ \t\r\n]+$/, '') : text;
    if (kept !== '') this.#push('text', kept, start);
    this.#advance(end);
    if (left === -1) {
      this.#push('eof', '', end);
      return false;
    }
    return true;
  }

  #hasLeftTrim(at: number): boolean {
    return this.input[at] === '-' && isSpace(this.input[at + 1]);
  }

  /** Length of the right delimiter at `at`, with its trim marker; 0 where there is none. */
  #rightDelim(at: number): { readonly length: number; readonly trims: boolean } {
    if (isSpace(this.input[at]) && this.input[at + 1] === '-' && this.input.startsWith(RIGHT, at + 2)) {
      return { length: 2 + RIGHT.length, trims: true };
    }
    return { length: this.input.startsWith(RIGHT, at) ? RIGHT.length : 0, trims: false };
  }

  /** One action with its delimiters; false on an error. */
  #action(): boolean {
    const start = this.#position;
    const inside = start + LEFT.length + (this.#hasLeftTrim(start + LEFT.length) ? 2 : 0);
    if (this.input.startsWith(COMMENT_LEFT, inside)) return this.#comment(inside);
    this.#push('leftDelim', LEFT, start);
    this.#advance(inside);
    this.#parenDepth = 0;
    for (;;) {
      const right = this.#rightDelim(this.#position);
      if (right.length > 0) {
        if (this.#parenDepth > 0) return this.#error('unclosed left paren');
        this.#push('rightDelim', RIGHT, this.#position);
        this.#closeAction(this.#position + right.length, right.trims);
        return true;
      }
      if (!this.#inside()) return false;
    }
  }

  #comment(at: number): boolean {
    const end = this.input.indexOf(COMMENT_RIGHT, at);
    if (end === -1) return this.#error('unclosed comment');
    const right = this.#rightDelim(end + COMMENT_RIGHT.length);
    if (right.length === 0) return this.#error('comment ends before closing delimiter');
    this.#closeAction(end + COMMENT_RIGHT.length + right.length, right.trims);
    return true;
  }

  #closeAction(end: number, trims: boolean): void {
    let next = end;
    if (trims) while (isSpace(this.input[next])) next++;
    this.#advance(next);
  }

  /** One token inside an action. */
  #inside(): boolean {
    const start = this.#position;
    const char = this.input[start];
    if (char === undefined) return this.#error('unclosed action');
    if (isSpace(char)) return this.#space();
    if (char === ':')
      return this.input[start + 1] === '=' ? this.#emit('declare', start + 2) : this.#error('expected :=');
    if (char === '"') return this.#quoted('"', 'string', 'unterminated quoted string');
    if (char === "'") return this.#quoted("'", 'charConstant', 'unterminated character constant');
    if (char === '`') return this.#raw();
    if (char === '(') this.#parenDepth += 1;
    if (char === ')' && --this.#parenDepth < 0) return this.#error('unexpected right paren');
    const single = SINGLE[char];
    if (single !== undefined) return this.#emit(single, start + 1);
    if (char === '$' || (char === '.' && !isDigit(this.input[start + 1]))) return this.#fieldOrVariable(char);
    if (char === '.' || char === '+' || char === '-' || isDigit(char)) return this.#number();
    return this.#word(start);
  }

  #word(start: number): boolean {
    const { rune } = decodeRune(this.input, start);
    if (isAlphaNumeric(rune)) return this.#identifier();
    if (rune < 0x80 && isPrintable(rune)) return this.#emit('char', start + 1);
    return this.#error(`unrecognized character in action: ${describeRune(rune)}`);
  }

  #space(): boolean {
    let end = this.#position;
    while (isSpace(this.input[end])) {
      // The last space may belong to a right delimiter that trims.
      if (this.#rightDelim(end).trims) break;
      end++;
    }
    return end === this.#position ? true : this.#emit('space', end);
  }

  #quoted(quote: string, kind: TokenKind, unterminated: string): boolean {
    for (let at = this.#position + 1; ; at++) {
      const char = this.input[at];
      if (char === undefined || char === '\n') return this.#error(unterminated);
      if (char === quote) return this.#emit(kind, at + 1);
      if (char !== '\\') continue;
      at += 1;
      if (this.input[at] === undefined || this.input[at] === '\n') return this.#error(unterminated);
    }
  }

  #raw(): boolean {
    const end = this.input.indexOf('`', this.#position + 1);
    return end === -1 ? this.#error('unterminated raw quoted string') : this.#emit('rawString', end + 1);
  }

  #fieldOrVariable(first: string): boolean {
    const start = this.#position;
    if (this.#terminates(start + 1)) return this.#emit(first === '$' ? 'variable' : 'dot', start + 1);
    const end = this.#nameEnd(start + 1);
    if (!this.#terminates(end)) return this.#badCharacter(end);
    return this.#emit(first === '$' ? 'variable' : 'field', end);
  }

  #identifier(): boolean {
    const end = this.#nameEnd(this.#position);
    if (!this.#terminates(end)) return this.#badCharacter(end);
    const word = this.input.slice(this.#position, end);
    if (KEYWORDS.has(word)) return this.#emit('keyword', end);
    if (word === 'nil') return this.#emit('nil', end);
    return this.#emit(word === 'true' || word === 'false' ? 'bool' : 'identifier', end);
  }

  #nameEnd(from: number): number {
    let end = from;
    while (end < this.input.length) {
      const { rune, width } = decodeRune(this.input, end);
      if (!isAlphaNumeric(rune)) break;
      end += width;
    }
    return end;
  }

  #terminates(at: number): boolean {
    const char = this.input[at];
    return char === undefined || TERMINATORS.includes(char) || this.#rightDelim(at).length > 0;
  }

  #badCharacter(at: number): boolean {
    return this.#error(`bad character ${describeRune(decodeRune(this.input, at).rune)}`);
  }

  #number(): boolean {
    const rest = this.input.slice(this.#position);
    let length = NUMBER_PART.exec(rest)?.[0].length ?? 0;
    if (/^[+-]/.test(rest.slice(length)) && length > 0) {
      length += NUMBER_PART.exec(rest.slice(length))?.[0].length ?? 0;
      if (rest[length - 1] !== 'i') return this.#badNumber(rest.slice(0, length));
    }
    const next = this.#position + length;
    const alphaNumeric = next < this.input.length && isAlphaNumeric(decodeRune(this.input, next).rune);
    if (alphaNumeric) return this.#badNumber(rest.slice(0, length + 1));
    return this.#emit('number', next);
  }

  #badNumber(text: string): boolean {
    return this.#error(`bad number syntax: "${text}"`);
  }

  #emit(kind: TokenKind, end: number): boolean {
    this.#push(kind, this.input.slice(this.#position, end), this.#position);
    this.#advance(end);
    return true;
  }

  #push(kind: TokenKind, text: string, position: number): void {
    this.tokens.push({ kind, text, position, line: this.#line });
  }

  #advance(to: number): void {
    for (let at = this.#position; at < to; at++) if (this.input[at] === '\n') this.#line += 1;
    this.#position = to;
  }

  #error(message: string): boolean {
    this.#push('error', message, this.#position);
    return false;
  }
}

function isSpace(char: string | undefined): boolean {
  return char !== undefined && SPACES.includes(char);
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

/** A code point as Go's `%#U` prints it. */
function describeRune(rune: number): string {
  const number = `U+${rune.toString(16).toUpperCase().padStart(4, '0')}`;
  return isPrintable(rune) ? `${number} '${fromGoString(encodeRune(rune))}'` : number;
}
