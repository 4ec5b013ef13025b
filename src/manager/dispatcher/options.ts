import { Code, SwarmError } from '../../base/index.js';

/** What may be set on a dispatcher. Zero is not allowed anywhere except for the epsilon. */
export interface DispatcherOptions {
  /** Id of the node that this manager runs on; written to `applied_by` of every status. */
  readonly nodeId: string;
  /** Time between two heartbeats where the cluster's settings name none, in ms. Default 5,000. */
  readonly heartbeatPeriodMs?: number;
  /** Most that a period differs from the nominal one, either way, in ms. Default 500, never over a tenth. */
  readonly heartbeatEpsilonMs?: number;
  /** A node is down after this many periods without a heartbeat. Default 3. */
  readonly graceMultiplier?: number;
  /** Registrations closer together than this are counted against the node, in ms. Default 8,000. */
  readonly rateLimitPeriodMs?: number;
  /** Time after which the tasks of a node that is down become orphaned, in ms. Default 24 h. */
  readonly orphanAfterMs?: number;
  /** Tasks and volumes in one incremental assignment message at the most. Default 1,000. */
  readonly messageChangesMax?: number;
  /** Bytes of secrets and configs after which an incremental message takes no more. Default 4 MiB. */
  readonly messageBytesMax?: number;
  /** Time that writing the last statuses may take when the dispatcher stops, in ms. Default 2,000. */
  readonly stopTimeoutMs?: number;
}

/** {@link DispatcherOptions} with every default filled in. */
export type DispatcherSettings = Required<DispatcherOptions>;

/** Source of the figures up to `orphanAfterMs`: SwarmKit's dispatcher. */
const DEFAULTS = {
  heartbeatPeriodMs: 5_000,
  heartbeatEpsilonMs: 500,
  graceMultiplier: 3,
  rateLimitPeriodMs: 8_000,
  orphanAfterMs: 24 * 60 * 60 * 1000,
  messageChangesMax: 1_000,
  messageBytesMax: 4 * 2 ** 20,
  stopTimeoutMs: 2_000,
} as const;

/** Fills in the defaults; InvalidArgument naming the option that is out of range. */
export function dispatcherSettings(options: DispatcherOptions): DispatcherSettings {
  const settings: DispatcherSettings = { ...DEFAULTS, ...options };
  if (settings.nodeId === '') throw invalid('nodeId', 'must not be empty');
  for (const name of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
    const lowest = name === 'heartbeatEpsilonMs' ? 0 : 1;
    if (!(settings[name] >= lowest)) throw invalid(name, `must be at least ${lowest}`);
  }
  return settings;
}

function invalid(name: string, rule: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, `dispatcher option ${name} ${rule}`);
}
