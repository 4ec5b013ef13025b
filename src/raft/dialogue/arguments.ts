import type { Directive } from './parse.js';

/** The plain words of a command that are numbers, which name members. */
export function memberNumbers({ arguments: all, line }: Directive): number[] {
  return all.filter(({ values }) => values.length === 0).map(({ key }) => wholeNumber(key, line));
}

/** The first word as a number. */
export function firstNumber({ arguments: [first], line }: Directive): number {
  if (first === undefined) throw new Error(`line ${line}: a number must follow the command`);
  return wholeNumber(first.key, line);
}

/** The plain word at this position. */
export function wordAt({ arguments: all, line }: Directive, position: number): string {
  const word = all[position];
  if (word === undefined) throw new Error(`line ${line}: argument ${position + 1} is missing`);
  return word.key;
}

/** The values of a named argument; none when it is not there. */
export function valuesOf({ arguments: all }: Directive, name: string): readonly string[] {
  return all.filter(({ key }) => key === name).flatMap(({ values }) => values);
}

/** The last value of a named argument. */
export function valueOf(directive: Directive, name: string): string | undefined {
  return valuesOf(directive, name).at(-1);
}

/** The value as a whole number. */
export function wholeNumber(text: string, line: number): number {
  if (!/^\d+$/.test(text)) throw new Error(`line ${line}: "${text}" is not a whole number`);
  return Number(text);
}

/** The values as ids or log positions. */
export function bigValues(directive: Directive, name: string): bigint[] {
  return valuesOf(directive, name).map((value) => {
    if (!/^\d+$/.test(value)) throw new Error(`line ${directive.line}: ${name}: "${value}" is not a whole number`);
    return BigInt(value);
  });
}

/** The value as Go reads booleans; false when it is not there. */
export function flagOf(directive: Directive, name: string): boolean {
  const value = valueOf(directive, name);
  if (value === undefined || ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  throw new Error(`line ${directive.line}: ${name}: "${value}" is neither true nor false`);
}
