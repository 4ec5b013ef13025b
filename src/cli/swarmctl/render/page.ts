import { displayWidth, oneLine, padded } from './text.js';

/** A line of a page about one object: a value, or a heading above deeper lines. */
export interface PageLine {
  readonly depth: number;
  readonly label: string;
  readonly value?: string;
}

/** A line of a page, or nothing where there is no value to show. */
export function entry(depth: number, label: string, value: string | number | bigint | undefined): readonly PageLine[] {
  return value === undefined || value === '' ? [] : [{ depth, label, value: String(value) }];
}

/** A heading with its lines, or nothing where there are none. */
export function section(depth: number, label: string, lines: readonly PageLine[]): readonly PageLine[] {
  return lines.length === 0 ? [] : [{ depth, label }, ...lines];
}

/** Pairs as lines, in the order of their keys. */
export function pairs(depth: number, values: Readonly<Record<string, string>>): readonly PageLine[] {
  return Object.keys(values)
    .sort()
    .map((key) => ({ depth, label: key, value: values[key] ?? '' }));
}

/** A page with aligned values. */
export function renderPage(lines: readonly PageLine[]): string {
  const labels = lines.map(({ depth, label }) => `${'  '.repeat(depth)}${oneLine(label)}`);
  const width = lines.reduce(
    (widest, { value }, at) => (value === undefined ? widest : Math.max(widest, displayWidth(labels[at] ?? ''))),
    0,
  );
  return lines
    .map(({ value }, at) => {
      const label = labels[at] ?? '';
      return value === undefined ? `${label}:\n` : `${`${padded(label, width)} : ${oneLine(value)}`.trimEnd()}\n`;
    })
    .join('');
}
