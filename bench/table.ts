import type { Row } from './row.js';

/** The rows as a Markdown table: the ratio is ours to stock, below 1 means that ours is smaller. */
export function renderTable(rows: readonly Row[]): string {
  const cells = [
    ['case', 'ours', 'stock', 'ratio'],
    ...rows.map(({ name, value, unit, stock }) => [
      name,
      `${figure(value)} ${unit}`,
      stock === undefined ? '' : `${figure(stock)} ${unit}`,
      stock === undefined || stock === 0 ? '' : (value / stock).toFixed(2),
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |\n`;
  const [head = [], ...body] = cells;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [head, rule, ...body].map(line).join('');
}

/** Three digits that count. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
