import { badValue } from '../usage-error.js';

/** Labels `key=value`; blanks around both are dropped. */
export function parseLabels(flag: string, given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((label) => {
      const [key, value] = splitPair(label);
      if (key.trim() === '' || value === undefined) throw badValue(flag, label, 'write key=value');
      return [key.trim(), value.trim()];
    }),
  );
}

/** Options of a driver `key[=value]`. */
export function parseOptions(flag: string, given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((option) => {
      const [key, value = ''] = splitPair(option);
      if (key === '') throw badValue(flag, option, 'write key=value');
      return [key, value];
    }),
  );
}

/** How labels change: `set` replaces all of them, then some are added, then some removed. */
export interface LabelFlags {
  readonly label?: readonly string[];
  readonly addLabel?: readonly string[];
  readonly rmLabel?: readonly string[];
}

/** Labels after a change. */
export function changeLabels(present: Readonly<Record<string, string>>, flags: LabelFlags): Record<string, string> {
  const labels = {
    ...(flags.label === undefined ? present : parseLabels('--label', flags.label)),
    ...parseLabels('--add-label', flags.addLabel ?? []),
  };
  const removed = new Set(flags.rmLabel ?? []);
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !removed.has(key)));
}

/** What stands before and after the first `=`; undefined where there is none. */
export function splitPair(text: string): readonly [key: string, value: string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
