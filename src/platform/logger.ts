import { pino, stdTimeFunctions, type DestinationStream, type Logger as Pino } from 'pino';
import type { LogFields, Logger } from '../base/index.js';

/** What a user may set about logs. */
export interface LoggerOptions {
  /** The least level that is written. */
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
}

/** JSON lines, one for each message: `level` as a word, `time` in RFC 3339, the message in `msg`. */
export class PinoLogger implements Logger {
  readonly #pino: Pino;

  private constructor(logger: Pino) {
    this.#pino = logger;
  }

  /** A logger that writes to `destination` (default: standard error, at once). */
  static create(options: LoggerOptions, destination?: DestinationStream): PinoLogger {
    const settings = {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    return new PinoLogger(pino(settings, destination ?? pino.destination({ dest: 2, sync: true })));
  }

  debug(fields: LogFields, message: string): void {
    this.#pino.debug(fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#pino.info(fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#pino.warn(fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#pino.error(fields, message);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(fields));
  }
}
