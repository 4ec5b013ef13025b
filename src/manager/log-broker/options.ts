import { Code, SwarmError } from '../../base/index.js';

/** What may be set on a log broker. Zero is not allowed. */
export interface LogBrokerOptions {
  /** Readers at the same time. Default 1,000. */
  readonly subscriptionsMax?: number;
  /** Messages that wait for one reader before its publishers are held up. Default 1,000. */
  readonly waitingMessagesMax?: number;
  /** Bytes that wait for one reader before its publishers are held up. Default 1 MiB. */
  readonly waitingBytesMax?: number;
}

/** {@link LogBrokerOptions} with every default filled in. */
export type LogBrokerSettings = Required<LogBrokerOptions>;

const DEFAULTS = { subscriptionsMax: 1_000, waitingMessagesMax: 1_000, waitingBytesMax: 2 ** 20 } as const;

/** Fills in the defaults; InvalidArgument naming the option that is out of range. */
export function logBrokerSettings(options: LogBrokerOptions): LogBrokerSettings {
  const settings: LogBrokerSettings = { ...DEFAULTS, ...options };
  for (const name of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
    if (!(settings[name] >= 1)) {
      throw new SwarmError(Code.INVALID_ARGUMENT, `log broker option ${name} must be at least 1`);
    }
  }
  return settings;
}
