import { create } from '@bufbuild/protobuf';

import { DriverSchema, type Driver } from '../../../api/index.js';
import { UsageError } from '../usage-error.js';
import { parseOptions } from '../values/pairs.js';

/** The log driver that the flags ask for; undefined where they do not. */
export function logDriverOf(flags: {
  readonly logDriver?: string;
  readonly logOpt?: readonly string[];
}): Driver | undefined {
  if (flags.logDriver === undefined) {
    if (flags.logOpt !== undefined) throw new UsageError('--log-opt: needs --log-driver');
    return undefined;
  }
  return create(DriverSchema, { name: flags.logDriver, options: parseOptions('--log-opt', flags.logOpt ?? []) });
}
