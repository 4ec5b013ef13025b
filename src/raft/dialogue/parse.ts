/** One command of a dialogue and the answer that it must get. */
export interface Directive {
  /** The line of the command, counted from 1. */
  readonly line: number;
  readonly command: string;
  readonly arguments: readonly DirectiveArgument[];
  readonly input: string;
  readonly expected: string;
}

/** A word, or a name with values: `1`, `index=2`, `voters=(1,2)`. */
export interface DirectiveArgument {
  readonly key: string;
  readonly values: readonly string[];
}

const SEPARATOR = '----';
const WORD = /^([^\s=()]+)(?:=(?:\(([^)]*)\)|(\S*)))?(?:\s+|$)/;

/** Reads a dialogue: commands, their input, a line of dashes and the answer up to an empty line. */
export function parseDialogue(text: string): Directive[] {
  const lines = new Lines(text);
  const directives: Directive[] = [];
  for (let start = lines.next(); start !== undefined; start = lines.next()) {
    const trimmed = start.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    directives.push(readDirective(lines, trimmed));
  }
  return directives;
}

class Lines {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#lines = text.split(/\r?\n/);
    if (this.#lines.at(-1) === '') this.#lines = this.#lines.slice(0, -1);
  }

  /** How many lines have been read. */
  get count(): number {
    return this.#at;
  }

  peek(ahead = 0): string | undefined {
    return this.#lines[this.#at + ahead];
  }

  next(): string | undefined {
    const line = this.peek();
    this.#at += 1;
    return line;
  }
}

function readDirective(lines: Lines, start: string): Directive {
  const line = lines.count;
  const [command, ...words] = splitWords(readContinued(lines, start), line);
  const input: string[] = [];
  for (;;) {
    const next = lines.next();
    if (next === undefined) throw new Error(`line ${line}: no ---- follows the command`);
    if (next === SEPARATOR) break;
    input.push(next);
  }
  const expected = readExpected(lines);
  return { line, command: command?.key ?? '', arguments: words, input: input.join('\n').trim(), expected };
}

/** A command goes on in the next line behind a backslash. */
function readContinued(lines: Lines, start: string): string {
  let text = start;
  while (text.endsWith('\\')) text = `${text.slice(0, -1)} ${lines.next()?.trim() ?? ''}`.trim();
  return text;
}

/** Behind a second line of dashes the answer may contain empty lines: it ends with two further ones. */
function readExpected(lines: Lines): string {
  const hasBlanks = lines.peek() === SEPARATOR;
  if (hasBlanks) lines.next();
  const answer: string[] = [];
  for (let next = lines.next(); next !== undefined; next = lines.next()) {
    if (hasBlanks && next === SEPARATOR && lines.peek() === SEPARATOR) {
      lines.next();
      break;
    }
    if (!hasBlanks && next.trim() === '') break;
    answer.push(`${next}\n`);
  }
  return answer.join('');
}

function splitWords(text: string, line: number): DirectiveArgument[] {
  const words: DirectiveArgument[] = [];
  for (let rest = text; rest !== ''; ) {
    const match = WORD.exec(rest);
    if (match === null) throw new Error(`line ${line}: cannot read the arguments from "${rest}"`);
    const [all, key = '', list, single] = match;
    words.push({ key, values: single === undefined ? splitList(list) : [single] });
    rest = rest.slice(all.length);
  }
  return words;
}

function splitList(list: string | undefined): string[] {
  if (list === undefined || list.trim() === '') return [];
  return list.split(',').map((value) => value.trim());
}
