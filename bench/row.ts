/** One figure of a benchmark. Figures of a shared machine compare only within one run. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: 'µs/op' | 'ms/op' | 'ms' | 'bytes/op' | 'ops/s';
}

/** Prints rows as aligned lines. */
export function printRows(rows: readonly Row[]): void {
  const width = Math.max(...rows.map((row) => row.name.length));
  for (const row of rows)
    console.log(`${row.name.padEnd(width)}  ${row.value.toPrecision(4).padStart(10)} ${row.unit}`);
}
