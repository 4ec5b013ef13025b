import { pino, stdTimeFunctions, type DestinationStream, type Logger as Pino } from 'pino';
import type { LogFields, Logger } from '../base/index.js';

/** What a user may set about logs. */
export interface LoggerOptions {
  /** The least level that is written. */
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

/**
 * JSON lines, one for each message: `level` as a word, `time` in RFC 3339, the message in `msg`. A field
 * stands once in a line; the nearest value wins.
 */
export class PinoLogger implements Logger {
  readonly #pino: Pino;
  readonly #fields: LogFields;

  private constructor(logger: Pino, fields: LogFields) {
    this.#pino = logger;
    this.#fields = fields;
  }

  /** A logger that writes to `destination` (default: standard error, at once). */
  static create(options: LoggerOptions, destination?: DestinationStream): PinoLogger {
    const settings = {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    return new PinoLogger(pino(settings, destination ?? pino.destination({ dest: 2, sync: true })), {});
  }

  debug(fields: LogFields, message: string): void {
    if (this.#pino.isLevelEnabled('debug')) this.#pino.debug({ ...this.#fields, ...fields }, message);
  }

  info(fields: LogFields, message: string): void {
    this.#pino.info({ ...this.#fields, ...fields }, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#pino.warn({ ...this.#fields, ...fields }, message);
  }

  error(fields: LogFields, message: string): void {
    this.#pino.error({ ...this.#fields, ...fields }, message);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino, { ...this.#fields, ...fields });
  }
}
