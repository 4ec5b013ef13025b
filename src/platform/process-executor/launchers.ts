import type { ContainerSpec_Ulimit } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import type { Account } from './accounts.js';

/** Limits that prlimit(1) knows, by Docker's names for them. */
const ULIMITS: ReadonlyMap<string, string> = new Map([
  ['as', 'as'],
  ['core', 'core'],
  ['cpu', 'cpu'],
  ['data', 'data'],
  ['fsize', 'fsize'],
  ['locks', 'locks'],
  ['memlock', 'memlock'],
  ['msgqueue', 'msgqueue'],
  ['nice', 'nice'],
  ['nofile', 'nofile'],
  ['nproc', 'nproc'],
  ['rss', 'rss'],
  ['rtprio', 'rtprio'],
  ['rttime', 'rttime'],
  ['sigpending', 'sigpending'],
  ['stack', 'stack'],
]);

/** What a process is to be before its program begins. */
export interface Rights {
  /** Undefined: the agent's own. */
  readonly account: Account | undefined;
  readonly noNewPrivileges: boolean;
  readonly ulimits: readonly ContainerSpec_Ulimit[];
}

/** The programs (of util-linux) and arguments that give these rights and then run what follows them. `find` gives their paths. */
export function launchersOf(
  { account, noNewPrivileges, ulimits }: Rights,
  find: (program: string) => string,
): readonly string[] {
  const launchers: string[] = [];
  if (ulimits.length > 0) launchers.push(find('prlimit'), ...ulimits.map(ulimitArgument));
  if (account === undefined && !noNewPrivileges) return launchers;
  launchers.push(find('setpriv'));
  if (account !== undefined) {
    const groups = account.groups.length === 0 ? '--clear-groups' : `--groups=${account.groups.join(',')}`;
    launchers.push(`--reuid=${account.uid}`, `--regid=${account.gid}`, groups);
  }
  if (noNewPrivileges) launchers.push('--no-new-privs');
  return launchers;
}

function ulimitArgument({ name, soft, hard }: ContainerSpec_Ulimit): string {
  const option = ULIMITS.get(name);
  if (option === undefined)
    throw new SwarmError(Code.INVALID_ARGUMENT, `ulimits: unknown limit ${JSON.stringify(name)}`);
  if (soft > hard && hard >= 0n)
    throw new SwarmError(Code.INVALID_ARGUMENT, `ulimits: ${name}: the soft limit is above the hard limit`);
  return `--${option}=${limit(soft)}:${limit(hard)}`;
}

function limit(value: bigint): string {
  return value < 0n ? 'unlimited' : value.toString();
}
