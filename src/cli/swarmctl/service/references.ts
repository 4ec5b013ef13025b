import type { Config, Secret } from '../../../api/index.js';
import { Code, SwarmError } from '../../../base/index.js';
import { resolveNetwork } from '../resolve.js';
import type { Session } from '../session.js';
import { parseEnvironmentFile } from '../values/env-file.js';
import { addedNames } from './container.js';
import type { References, ServiceFlags } from './flags.js';

/** Far more than an environment can hold. */
const ENVIRONMENT_BYTES_MAX = 1024 * 1024;

/** The flags with the content of environment files before what `--env` says. */
export async function withEnvironmentFiles<F extends ServiceFlags>({ terminal }: Session, flags: F): Promise<F> {
  if (flags.envFile === undefined) return flags;
  const lines: string[] = [];
  for (const path of flags.envFile) {
    lines.push(...parseEnvironmentFile('--env-file', await terminal.readFile(path, ENVIRONMENT_BYTES_MAX)));
  }
  return { ...flags, env: [...lines, ...(flags.env ?? [])] };
}

/** Ids of the networks, secrets and configs that flags name. NotFound for what is not there. */
export async function lookUpReferences(session: Session, flags: ServiceFlags): Promise<References> {
  const { control, call } = session;
  const secretNames = [...addedNames(flags, 'secret')];
  const configNames = [...addedNames(flags, 'config')];
  const [networks, secrets, configs] = await Promise.all([
    Promise.all((flags.network ?? []).map((given) => resolveNetwork(session, given))),
    secretNames.length === 0
      ? []
      : control.listSecrets({ filters: { names: secretNames } }, call).then((r) => r.secrets),
    configNames.length === 0
      ? []
      : control.listConfigs({ filters: { names: configNames } }, call).then((r) => r.configs),
  ]);
  return {
    networkIds: networks.map(({ id }) => id),
    secretIds: idsByName('secret', secretNames, secrets),
    configIds: idsByName('config', configNames, configs),
  };
}

function idsByName(
  kind: string,
  names: readonly string[],
  found: readonly (Secret | Config)[],
): ReadonlyMap<string, string> {
  const ids = new Map(found.map(({ id, spec }) => [spec?.annotations?.name ?? '', id]));
  const missing = names.find((name) => !ids.has(name));
  if (missing !== undefined) throw new SwarmError(Code.NOT_FOUND, `${kind} not found: ${missing}`);
  return ids;
}
