import { badValue } from '../usage-error.js';

/** One of a few words. */
export function parseChoice<T>(flag: string, text: string, choices: Readonly<Record<string, T>>): T {
  const chosen = Object.hasOwn(choices, text) ? choices[text] : undefined;
  if (chosen === undefined) throw badValue(flag, text, `write ${Object.keys(choices).join(', ')}`);
  return chosen;
}
