import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, Registry } from 'prom-client';
import type { LoopDelaySource, Reading } from '../manager/metrics/index.js';

/** How often the loop's delay is measured. */
const RESOLUTION_MS = 10;

const NANOSECONDS_PER_MS = 1e6;

/** Readings in the text form that Prometheus reads. */
export function renderReadings(readings: readonly Reading[]): Promise<string> {
  const registry = new Registry();
  const gauges = new Map<string, Gauge>();
  for (const { name, help, labels, value } of readings) {
    let gauge = gauges.get(name);
    if (gauge === undefined) {
      gauge = new Gauge({ name, help, labelNames: Object.keys(labels), registers: [registry] });
      gauges.set(name, gauge);
    }
    gauge.set(labels, value);
  }
  return registry.metrics();
}

/** Measures how long this process's event loop is held, until disposed. */
export class EventLoopDelay implements LoopDelaySource, Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#histogram.enable();
  }

  read(): { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number } {
    const beyond = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
    const { max } = this.#histogram;
    const delays = {
      p50Ms: beyond(this.#histogram.percentile(50)),
      p99Ms: beyond(this.#histogram.percentile(99)),
      maxMs: beyond(max),
    };
    this.#histogram.reset();
    return delays;
  }

  [Symbol.dispose](): void {
    this.#histogram.disable();
  }
}
