/** One value that is there to be looked at. */
export interface Reading {
  /** Name in Prometheus' form, with its unit. */
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** How long the event loop was held, since the last look. */
export interface LoopDelaySource {
  read(): { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
}

/** The readings of the event loop: ours, as no name of SwarmKit's fits. */
export function loopDelayReadings(source: LoopDelaySource): readonly Reading[] {
  const { p50Ms, p99Ms, maxMs } = source.read();
  const reading = (quantile: string, ms: number): Reading => ({
    name: 'swarm_manager_event_loop_delay_seconds',
    help: 'How long the event loop was held since the last look',
    labels: { quantile },
    value: ms / 1_000,
  });
  return [reading('0.5', p50Ms), reading('0.99', p99Ms), reading('1', maxMs)];
}
