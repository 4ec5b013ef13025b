import { readFile } from 'node:fs/promises';
import { arch, cpus, hostname, totalmem } from 'node:os';

import { create } from '@bufbuild/protobuf';

import { NodeDescriptionSchema } from '../../api/index.js';
import type { NodeDescription } from '../../api/index.js';
import { resolveAccount, type Account } from './accounts.js';
import type { ProcessExecutorOptions } from './options.js';

/** Node's names for processors as the kernel gives them, which is what engines report. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  arm: 'armv7l',
  ia32: 'i686',
};

/** What counts as plugins of this executor, sorted by type and name as engines do. */
const PLUGINS = [
  { type: 'Log', name: 'json-file' },
  { type: 'Network', name: 'host' },
  { type: 'Volume', name: 'local' },
];

/** The name of this node, for `HOSTNAME`. */
export function hostnameOf(options: Pick<ProcessExecutorOptions, 'hostname'>): string {
  return options.hostname ?? hostname();
}

/** What this machine is and has. */
export function describeHost(options: ProcessExecutorOptions): NodeDescription {
  return create(NodeDescriptionSchema, {
    hostname: hostnameOf(options),
    platform: { architecture: ARCHITECTURES[arch()] ?? arch(), os: 'linux' },
    resources: {
      nanoCpus: BigInt(cpus().length) * 1_000_000_000n,
      memoryBytes: BigInt(totalmem()),
      generic: [...(options.genericResources ?? [])],
    },
    engine: { engineVersion: options.engineVersion, labels: { ...options.labels }, plugins: PLUGINS },
  });
}

/** The account of `user` and `groups`, from this machine's files. */
export async function hostAccount(user: string, groups: readonly string[]): Promise<Account> {
  const [passwd, group] = await Promise.all([readFile('/etc/passwd', 'utf8'), readFile('/etc/group', 'utf8')]);
  return resolveAccount(user, groups, { passwd, group });
}
