import type { Duration } from '@bufbuild/protobuf/wkt';

import { nsFromDuration } from '../../api/index.js';
import { invalidArgument } from './errors.js';

const NS_MAX = 2n ** 63n - 1n;

/** Nanoseconds of a duration that is well formed and fits Docker's 64 bits, or InvalidArgument naming the field. */
export function validDurationNs(field: string, duration: Duration): bigint {
  const ns = nsFromDuration(duration);
  const mixedSigns = duration.seconds !== 0n && duration.nanos !== 0 && duration.seconds < 0n !== duration.nanos < 0;
  if (Math.abs(duration.nanos) > 999_999_999 || mixedSigns || ns > NS_MAX || ns < -NS_MAX) {
    throw invalidArgument(`${field}: duration (${duration.seconds} s, ${duration.nanos} ns) is out of range`);
  }
  return ns;
}

/** Refuses a negative duration with the given message. */
export function validateNotNegative(field: string, duration: Duration | undefined, message: string): void {
  if (duration !== undefined && validDurationNs(field, duration) < 0n) throw invalidArgument(message);
}
