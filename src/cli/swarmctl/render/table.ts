import { displayWidth, fit, oneLine, padded } from './text.js';

/** One column of a table. */
export interface Column {
  readonly title: string;
  /** How much it matters: where the terminal is too narrow, the column that matters least is cut first. */
  readonly weight: number;
  /** Width below which the column says nothing any more and is left out instead; default: that of the title. */
  readonly widthMin?: number;
}

const GAP = 2;

/**
 * A table with aligned columns. Where it does not fit into `width`, empty columns are left out, then columns
 * are cut and at last left out in the order of their weight, the least first; without a width everything is shown.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const cells = rows.map((row) => columns.map((_, at) => oneLine(row[at] ?? '')));
  const natural = columns.map((column, at) =>
    cells.reduce((widest, row) => Math.max(widest, displayWidth(row[at] ?? '')), displayWidth(column.title)),
  );
  const useful = natural.map((own, at) => (cells.some((row) => row[at] !== '') ? own : 0));
  const isTight = width !== undefined && totalWidth(natural) > width && cells.length > 0;
  const widths = width === undefined ? natural : fitted(columns, isTight ? useful : natural, width);
  const shown = columns.map((_, at) => at).filter((at) => (widths[at] ?? 0) > 0);
  const line = (texts: readonly string[]): string =>
    shown
      .map((at) => padded(fit(texts[at] ?? '', widths[at] ?? 0), widths[at] ?? 0))
      .join(' '.repeat(GAP))
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...cells.map(line)].map((text) => `${text}\n`).join('');
}

/** Widths that fit together; 0 for a column that is left out. */
function fitted(columns: readonly Column[], natural: readonly number[], width: number): readonly number[] {
  const widths = [...natural];
  const lightestFirst = columns.map((_, at) => at).sort((a, b) => weightOf(columns, a) - weightOf(columns, b));
  for (const at of lightestFirst) {
    const excess = totalWidth(widths) - width;
    if (excess <= 0) return widths;
    const min = Math.min(columns[at]?.widthMin ?? displayWidth(columns[at]?.title ?? ''), widths[at] ?? 0);
    widths[at] = Math.max(min, (widths[at] ?? 0) - excess);
  }
  for (const at of lightestFirst.slice(0, -1)) {
    if (totalWidth(widths) <= width) return restored(widths, natural, width, lightestFirst);
    widths[at] = 0;
  }
  const last = lightestFirst.at(-1) ?? 0;
  widths[last] = Math.max(1, Math.min(widths[last] ?? 0, width));
  return restored(widths, natural, width, lightestFirst);
}

/** Gives the room that a column left behind back to the heaviest columns that were cut before. */
function restored(
  widths: readonly number[],
  natural: readonly number[],
  width: number,
  lightestFirst: readonly number[],
): readonly number[] {
  const result = [...widths];
  for (const at of lightestFirst.toReversed()) {
    if ((result[at] ?? 0) === 0) continue;
    const room = width - totalWidth(result);
    result[at] = Math.min(natural[at] ?? 0, (result[at] ?? 0) + Math.max(0, room));
  }
  return result;
}

function totalWidth(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0);
  return shown.reduce((sum, width) => sum + width, 0) + GAP * Math.max(0, shown.length - 1);
}

function weightOf(columns: readonly Column[], at: number): number {
  return columns[at]?.weight ?? 0;
}
