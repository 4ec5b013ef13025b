/** What is wrong with a JSON text, in the words of Go's decoder, which clients of Docker know (engine-api E-107). */
export type JsonSyntax =
  | { readonly kind: 'value'; readonly end: number }
  | { readonly kind: 'empty' }
  | { readonly kind: 'error'; readonly message: string };

/** Nested deeper than this is refused, as Go does. */
const DEPTH_MAX = 10_000;

const ESCAPES = new Set(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']);

/** Checks the first value of a text; says where it ends. */
export function checkJsonSyntax(text: string): JsonSyntax {
  const scanner = new Scanner(text);
  scanner.space();
  if (scanner.atEnd) return { kind: 'empty' };
  try {
    scanner.value();
    return { kind: 'value', end: scanner.position };
  } catch (error) {
    if (error instanceof SyntaxError) return { kind: 'error', message: error.message };
    throw error;
  }
}

/** Walks over one value without recursion; throws a SyntaxError with Go's words. */
class Scanner {
  readonly #text: string;
  position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.position >= this.#text.length;
  }

  space(): void {
    while (' \t\r\n'.includes(this.#text[this.position] ?? 'x')) this.position++;
  }

  value(): void {
    // What encloses the present value, from the outside in.
    const open: ('{' | '[')[] = [];
    do {
      if (this.#begin(open)) continue;
      for (let inner = open.at(-1); inner !== undefined && !this.#continues(inner); inner = open.at(-1)) open.pop();
    } while (open.length > 0);
  }

  /** Reads a scalar, an empty object or array, or the start of one with entries: then true, its first value is next. */
  #begin(open: ('{' | '[')[]): boolean {
    this.space();
    const first = this.#text[this.position];
    if (first !== '{' && first !== '[') {
      this.#scalar(first);
      return false;
    }
    if (open.length >= DEPTH_MAX) throw new SyntaxError('exceeded max depth');
    this.position++;
    this.space();
    if (this.#text[this.position] === (first === '{' ? '}' : ']')) {
      this.position++;
      return false;
    }
    open.push(first);
    if (first === '{') this.#key();
    return true;
  }

  /** Goes on after a value: true when another follows in the same object or array, false when that ends. */
  #continues(enclosing: '{' | '['): boolean {
    this.space();
    const next = this.#take(enclosing === '{' ? 'after object key:value pair' : 'after array element', [
      ',',
      enclosing === '{' ? '}' : ']',
    ]);
    if (next !== ',') return false;
    if (enclosing === '{') this.#key();
    return true;
  }

  #key(): void {
    this.space();
    this.#take('looking for beginning of object key string', ['"']);
    this.#string();
    this.space();
    this.#take('after object key', [':']);
  }

  #scalar(first: string | undefined): void {
    switch (first) {
      case '"':
        this.position++;
        return this.#string();
      case 't':
        return this.#literal('true');
      case 'f':
        return this.#literal('false');
      case 'n':
        return this.#literal('null');
      default:
        if (first !== undefined && /[-0-9]/.test(first)) return this.#number();
        throw this.#unexpected('looking for beginning of value');
    }
  }

  #literal(word: string): void {
    for (const letter of word.split('')) this.#take(`in literal ${word} (expecting '${letter}')`, [letter]);
  }

  #string(): void {
    for (;;) {
      const character = this.#text[this.position];
      if (character === undefined || character < ' ') throw this.#unexpected('in string literal');
      this.position++;
      if (character === '"') return;
      if (character === '\\') this.#escape();
    }
  }

  #escape(): void {
    const character = this.#text[this.position];
    if (character === 'u') {
      this.position++;
      for (let digit = 0; digit < 4; digit++) {
        if (!/[0-9a-fA-F]/.test(this.#text[this.position] ?? '')) {
          throw this.#unexpected('in \\u hexadecimal character escape');
        }
        this.position++;
      }
      return;
    }
    if (character === undefined || !ESCAPES.has(character)) throw this.#unexpected('in string escape code');
    this.position++;
  }

  #number(): void {
    if (this.#text[this.position] === '-') this.position++;
    if (this.#text[this.position] === '0') this.position++;
    else this.#digits('in numeric literal');
    if (this.#text[this.position] === '.') {
      this.position++;
      this.#digits('after decimal point in numeric literal');
    }
    if (/[eE]/.test(this.#text[this.position] ?? '')) {
      this.position++;
      if (/[+-]/.test(this.#text[this.position] ?? '')) this.position++;
      this.#digits('in exponent of numeric literal');
    }
  }

  #digits(context: string): void {
    if (!/[0-9]/.test(this.#text[this.position] ?? '')) throw this.#unexpected(context);
    while (/[0-9]/.test(this.#text[this.position] ?? '')) this.position++;
  }

  #take(context: string, allowed: readonly string[]): string {
    const character = this.#text[this.position];
    if (character === undefined || !allowed.includes(character)) throw this.#unexpected(context);
    this.position++;
    return character;
  }

  #unexpected(context: string): SyntaxError {
    const code = this.#text.codePointAt(this.position);
    if (code === undefined) return new SyntaxError('unexpected EOF');
    return new SyntaxError(`invalid character ${quoted(String.fromCodePoint(code))} ${context}`);
  }
}

/** A character as Go quotes it. */
function quoted(character: string): string {
  if (character === "'") return `'\\''`;
  if (character === '"') return `'"'`;
  return `'${JSON.stringify(character).slice(1, -1)}'`;
}
