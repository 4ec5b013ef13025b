/** One figure of a benchmark. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same figure of a stock Docker Engine, measured in the same run. */
  readonly stock?: number;
}

/** A group of figures that is run by name. */
export interface Benchmark {
  run(): Promise<readonly Row[]>;
}
