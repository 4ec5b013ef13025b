import type { Config, Network, Node, Secret, Service, Task } from '../../api/index.js';
import { Code, isSwarmError, SwarmError } from '../../base/index.js';
import type { Session } from './session.js';
import { UsageError } from './usage-error.js';

/** Matches that the refusal of an ambiguous name lists. */
const MATCHES_SHOWN_MAX = 5;

/** How one kind of object is looked up. */
interface Lookup<T> {
  readonly kind: string;
  get(id: string): Promise<T | undefined>;
  list(filters: { readonly names?: string[]; readonly idPrefixes?: string[] }): Promise<readonly T[]>;
}

/** Finds an object by its full id, then by name, then by the beginning of its id, which must be unique. */
async function resolve<T extends { readonly id: string }>(given: string, lookup: Lookup<T>): Promise<T> {
  if (given === '') throw new UsageError(`the id or name of a ${lookup.kind} must not be empty`);
  const exact = await lookup.get(given).catch((error: unknown) => {
    if (isSwarmError(error, Code.NOT_FOUND)) return undefined;
    throw error;
  });
  if (exact !== undefined) return exact;
  const named = await lookup.list({ names: [given] });
  const found = named.length > 0 ? named : await lookup.list({ idPrefixes: [given] });
  const [first] = found;
  if (first === undefined) throw new SwarmError(Code.NOT_FOUND, `${lookup.kind} ${given} not found`);
  if (found.length > 1) throw ambiguous(given, lookup.kind, found, named.length > 0);
  return first;
}

function ambiguous(
  given: string,
  kind: string,
  found: readonly { readonly id: string }[],
  isName: boolean,
): SwarmError {
  const ids = found.slice(0, MATCHES_SHOWN_MAX).map(({ id }) => id);
  const more = found.length > ids.length ? ', …' : '';
  const what = isName ? 'have that name' : 'have ids that begin so';
  const message = `${kind} ${given} is ambiguous: ${found.length} ${kind}s ${what} (${ids.join(', ')}${more})`;
  return new SwarmError(Code.FAILED_PRECONDITION, message);
}

/** Finds a node by id, hostname or beginning of the id. */
export function resolveNode({ control, call }: Session, given: string): Promise<Node> {
  return resolve(given, {
    kind: 'node',
    get: async (nodeId) => (await control.getNode({ nodeId }, call)).node,
    list: async (filters) => (await control.listNodes({ filters }, call)).nodes,
  });
}

/** Finds a service by id, name or beginning of the id. */
export function resolveService({ control, call }: Session, given: string): Promise<Service> {
  return resolve(given, {
    kind: 'service',
    get: async (serviceId) => (await control.getService({ serviceId }, call)).service,
    list: async (filters) => (await control.listServices({ filters }, call)).services,
  });
}

/** Finds a task by id, name or beginning of the id. */
export function resolveTask({ control, call }: Session, given: string): Promise<Task> {
  return resolve(given, {
    kind: 'task',
    get: async (taskId) => (await control.getTask({ taskId }, call)).task,
    list: async (filters) => (await control.listTasks({ filters }, call)).tasks,
  });
}

/** Finds a secret by id, name or beginning of the id. */
export function resolveSecret({ control, call }: Session, given: string): Promise<Secret> {
  return resolve(given, {
    kind: 'secret',
    get: async (secretId) => (await control.getSecret({ secretId }, call)).secret,
    list: async (filters) => (await control.listSecrets({ filters }, call)).secrets,
  });
}

/** Finds a config by id, name or beginning of the id. */
export function resolveConfig({ control, call }: Session, given: string): Promise<Config> {
  return resolve(given, {
    kind: 'config',
    get: async (configId) => (await control.getConfig({ configId }, call)).config,
    list: async (filters) => (await control.listConfigs({ filters }, call)).configs,
  });
}

/** Finds a network by id, name or beginning of the id. */
export function resolveNetwork({ control, call }: Session, given: string): Promise<Network> {
  return resolve(given, {
    kind: 'network',
    get: async (networkId) => (await control.getNetwork({ networkId }, call)).network,
    list: async (filters) => (await control.listNetworks({ filters }, call)).networks,
  });
}
