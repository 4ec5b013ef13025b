import { decodeRune } from './go-string.js';
import { formatValue, PLAIN, type Flags } from './format-value.js';
import { typeName, type Value } from './values.js';

/** Largest width and precision; beyond it Go prints an error instead. */
const NUMBER_MAX = 1_000_000;

/** Go's fmt.Sprint: a space between two operands when neither is a string. */
export function sprint(values: readonly Value[]): string {
  let text = '';
  values.forEach((value, at) => {
    if (at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string') text += ' ';
    text += formatValue(value, 'v', PLAIN);
  });
  return text;
}

/** Go's fmt.Sprintln. */
export function sprintln(values: readonly Value[]): string {
  return `${values.map((value) => formatValue(value, 'v', PLAIN)).join(' ')}\n`;
}

/** Go's fmt.Sprintf, its complaints about wrong directives included. */
export function sprintf(format: string, values: readonly Value[]): string {
  return new Formatter(format, values).run();
}

interface MutableFlags {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number | undefined;
  precision: number | undefined;
}

class Formatter {
  #at = 0;
  #argument = 0;
  #reordered = false;
  #goodIndex = true;
  #afterIndex = false;
  #text = '';

  constructor(
    readonly format: string,
    readonly values: readonly Value[],
  ) {}

  run(): string {
    while (this.#at < this.format.length) {
      const next = this.format.indexOf('%', this.#at);
      const end = next === -1 ? this.format.length : next;
      this.#text += this.format.slice(this.#at, end);
      this.#at = end + 1;
      if (next !== -1) this.#directive();
    }
    if (!this.#reordered && this.#argument < this.values.length) {
      const extra = this.values
        .slice(this.#argument)
        .map((value) => (value === undefined ? '<nil>' : `${typeName(value)}=${formatValue(value, 'v', PLAIN)}`));
      this.#text += `%!(EXTRA ${extra.join(', ')})`;
    }
    return this.#text;
  }

  #directive(): void {
    this.#goodIndex = true;
    this.#afterIndex = false;
    const flags = this.#flags();
    this.#index();
    this.#width(flags);
    this.#precision(flags);
    if (!this.#afterIndex) this.#index();
    if (this.#at >= this.format.length) {
      this.#text += '%!(NOVERB)';
      return;
    }
    const { width } = decodeRune(this.format, this.#at);
    const verb = this.format.slice(this.#at, this.#at + width);
    this.#at += width;
    this.#print(verb, flags);
  }

  #print(verb: string, flags: Flags): void {
    if (verb === '%') this.#text += '%';
    else if (!this.#goodIndex) this.#text += `%!${verb}(BADINDEX)`;
    else if (this.#argument >= this.values.length) this.#text += `%!${verb}(MISSING)`;
    else this.#text += formatValue(this.values[this.#argument++], verb, flags);
  }

  #flags(): MutableFlags {
    const flags: MutableFlags = { ...PLAIN };
    for (; ; this.#at++) {
      const char = this.format[this.#at];
      if (char === '#') flags.sharp = true;
      else if (char === '0') flags.zero = true;
      else if (char === '+') flags.plus = true;
      else if (char === '-') flags.minus = true;
      else if (char === ' ') flags.space = true;
      else return flags;
    }
  }

  #width(flags: MutableFlags): void {
    if (this.format[this.#at] === '*') {
      this.#at += 1;
      const width = this.#starValue();
      if (width === undefined) this.#text += '%!(BADWIDTH)';
      else if (width < 0) [flags.width, flags.minus, flags.zero] = [-width, true, false];
      else flags.width = width;
      this.#afterIndex = false;
      return;
    }
    flags.width = this.#number();
    if (this.#afterIndex && flags.width !== undefined) this.#goodIndex = false;
  }

  #precision(flags: MutableFlags): void {
    if (this.format[this.#at] !== '.') return;
    this.#at += 1;
    if (this.#afterIndex) this.#goodIndex = false;
    this.#index();
    if (this.format[this.#at] === '*') {
      this.#at += 1;
      const precision = this.#starValue();
      if (precision === undefined) this.#text += '%!(BADPREC)';
      else if (precision >= 0) flags.precision = precision;
      else this.#text += '%!(BADPREC)';
      this.#afterIndex = false;
      return;
    }
    flags.precision = this.#number() ?? 0;
  }

  /** An argument that gives a width or precision. */
  #starValue(): number | undefined {
    const value = this.values[this.#argument];
    if (this.#argument < this.values.length) this.#argument += 1;
    const number = typeof value === 'bigint' ? Number(value) : undefined;
    return number === undefined || Math.abs(number) > NUMBER_MAX ? undefined : number;
  }

  #number(): number | undefined {
    const digits = /^[0-9]+/.exec(this.format.slice(this.#at, this.#at + 20))?.[0];
    if (digits === undefined) return undefined;
    this.#at += digits.length;
    const number = Number(digits);
    return number > NUMBER_MAX ? undefined : number;
  }

  /** `[n]`: the argument to use next, counted from 1. */
  #index(): void {
    if (this.format[this.#at] !== '[') return;
    this.#reordered = true;
    const close = this.format.indexOf(']', this.#at);
    if (close === -1) {
      this.#goodIndex = false;
      this.#at += 1;
      return;
    }
    const text = this.format.slice(this.#at + 1, close);
    const index = /^[0-9]{1,7}$/.test(text) ? Number(text) : 0;
    this.#at = close + 1;
    this.#afterIndex = true;
    if (index >= 1 && index <= this.values.length) this.#argument = index - 1;
    else this.#goodIndex = false;
  }
}
