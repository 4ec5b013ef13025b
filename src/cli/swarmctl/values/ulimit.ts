import { create } from '@bufbuild/protobuf';

import { ContainerSpec_UlimitSchema, type ContainerSpec_Ulimit } from '../../../api/index.js';
import { badValue } from '../usage-error.js';

/** Limits that Linux knows, as Docker names them. */
const NAMES: ReadonlySet<string> = new Set([
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
]);

const UNLIMITED = -1n;

/** A limit of the kernel: `name=soft[:hard]`; -1 is unlimited. */
export function parseUlimit(flag: string, text: string): ContainerSpec_Ulimit {
  const match = /^([a-z]+)=(-1|\d{1,18})(?::(-1|\d{1,18}))?$/.exec(text);
  const [, name = '', softText = '', hardText = softText] = match ?? [];
  if (match === null) throw badValue(flag, text, 'write name=soft[:hard], such as nofile=1024:2048 (-1: unlimited)');
  if (!NAMES.has(name)) throw badValue(flag, text, `the names are ${[...NAMES].join(', ')}`);
  const soft = BigInt(softText);
  const hard = BigInt(hardText);
  if (hard !== UNLIMITED && (soft === UNLIMITED || soft > hard)) {
    throw badValue(flag, text, 'the soft limit must not be above the hard limit');
  }
  return create(ContainerSpec_UlimitSchema, { name, soft, hard });
}
