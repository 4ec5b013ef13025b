/** What the fleet of simulated agents is told. */
export type FleetRequest =
  | { readonly kind: 'join'; readonly addr: string; readonly token: string; readonly agents: number }
  /** Answered when this many tasks with this mark run at once. */
  | { readonly kind: 'untilRunning'; readonly mark: string; readonly tasks: number }
  /** Answered when nothing is left of any task. */
  | { readonly kind: 'untilGone' };

/** Its answer: when it happened, on the clock of {@link epochMs}. */
export interface FleetAnswer {
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Milliseconds since the epoch with their fraction, comparable between processes of one machine. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

/** A task's mark: the first variable of its environment, by which a run knows its own tasks. */
export function markVariable(mark: string): string {
  return `BENCH_MARK=${mark}`;
}
