import type { RaftLogger } from '../raft-logger.js';

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const;
type Level = (typeof LEVELS)[number];

/** What a command prints: its own text and the lines that the members log at the chosen level. */
export class DialogueOutput implements RaftLogger {
  #text = '';
  #level: Level = 'DEBUG';

  get text(): string {
    return this.#text;
  }

  get level(): Level {
    return this.#level;
  }

  /** At the level NONE nothing is printed at all. */
  get isQuiet(): boolean {
    return this.#level === 'NONE';
  }

  clear(): void {
    this.#text = '';
  }

  /** Sets the level; what is wrong with its name otherwise. */
  setLevel(name: string): string | undefined {
    const level = LEVELS.find((known) => known === name.toUpperCase());
    if (level === undefined) return `log levels must be either of [${LEVELS.join(' ')}]`;
    this.#level = level;
    return undefined;
  }

  write(text: string): void {
    if (!this.isQuiet) this.#text += text;
  }

  /** Prints what `run` prints by two blanks further in; also when it fails. */
  indented<T>(run: () => T): T {
    const outer = this.#text;
    this.#text = '';
    try {
      return run();
    } finally {
      const inner = this.#text.endsWith('\n') ? this.#text.slice(0, -1) : this.#text;
      const lines = inner === '' && this.#text === '' ? [] : inner.split('\n');
      this.#text = outer + lines.map((line) => `  ${line}\n`).join('');
    }
  }

  debug(text: string): void {
    this.#log('DEBUG', text);
  }

  info(text: string): void {
    this.#log('INFO', text);
  }

  warning(text: string): void {
    this.#log('WARN', text);
  }

  error(text: string): void {
    this.#log('ERROR', text);
  }

  #log(level: Level, text: string): void {
    if (LEVELS.indexOf(this.#level) <= LEVELS.indexOf(level)) this.write(`${level} ${text}\n`);
  }
}
