import { badValue } from '../usage-error.js';

const QUOTED = /^"((?:[^"]|"")*)"(,|$)/;
const PLAIN = /^([^,]*)(,|$)/;

/**
 * Splits a comma-separated list as SwarmKit's flags do: a value in double quotes may hold commas, and `""`
 * in it is a quote. Quotes inside a value that does not begin with one stand for themselves.
 */
export function splitList(flag: string, text: string): readonly string[] {
  if (text === '') return [];
  const values: string[] = [];
  let rest = text;
  while (true) {
    const quoted = rest.startsWith('"');
    const match = (quoted ? QUOTED : PLAIN).exec(rest);
    if (match === null) {
      throw badValue(flag, text, 'separate values by commas and put one that holds a comma in double quotes');
    }
    const [whole, value = '', separator] = match;
    values.push(quoted ? value.replaceAll('""', '"') : value);
    if (separator !== ',') return values;
    rest = rest.slice(whole.length);
  }
}
