import type { CallOptions, Config, Control, Node, RpcClient, Secret, Service, Task } from '../../api/index.js';
import { Code, isSwarmError } from '../../base/index.js';
import { ApiError } from '../http/index.js';

type ControlClient = RpcClient<typeof Control>;

/** How one kind of object is looked up. */
interface Lookup<T> {
  readonly kind: string;
  get(id: string): Promise<T | undefined>;
  list(filters: { readonly names?: string[]; readonly idPrefixes?: string[] }): Promise<readonly T[]>;
}

/** Finds an object by full id, then exact name, then id prefix (engine-api E-212). */
async function resolve<T>(given: string, lookup: Lookup<T>): Promise<T> {
  const exact = await lookup.get(given).catch((error: unknown) => {
    if (isSwarmError(error, Code.NOT_FOUND)) return undefined;
    throw error;
  });
  if (exact !== undefined) return exact;
  const named = await lookup.list({ names: [given] });
  const found = named.length > 0 ? named : await lookup.list({ idPrefixes: [given] });
  const [first] = found;
  if (first === undefined) throw new ApiError('not-found', `${lookup.kind} ${given} not found`);
  if (found.length > 1) {
    throw new ApiError('invalid-parameter', `${lookup.kind} ${given} is ambiguous (${found.length} matches found)`);
  }
  return first;
}

/** Finds a node by id, name or id prefix. */
export function resolveNode(control: ControlClient, given: string, options: CallOptions): Promise<Node> {
  return resolve(given, {
    kind: 'node',
    get: async (nodeId) => (await control.getNode({ nodeId }, options)).node,
    list: async (filters) => (await control.listNodes({ filters }, options)).nodes,
  });
}

/** Finds a service by id, name or id prefix. */
export function resolveService(
  control: ControlClient,
  given: string,
  insertDefaults: boolean,
  options: CallOptions,
): Promise<Service> {
  return resolve(given, {
    kind: 'service',
    get: async (serviceId) => (await control.getService({ serviceId, insertDefaults }, options)).service,
    list: async (filters) => {
      const { services } = await control.listServices({ filters }, options);
      const [only] = services;
      if (only === undefined || services.length > 1 || !insertDefaults) return services;
      const { service } = await control.getService({ serviceId: only.id, insertDefaults }, options);
      return service === undefined ? [] : [service];
    },
  });
}

/** Finds a task by id, name or id prefix. */
export function resolveTask(control: ControlClient, given: string, options: CallOptions): Promise<Task> {
  return resolve(given, {
    kind: 'task',
    get: async (taskId) => (await control.getTask({ taskId }, options)).task,
    list: async (filters) => (await control.listTasks({ filters }, options)).tasks,
  });
}

/** Finds a secret by id, name or id prefix. */
export function resolveSecret(control: ControlClient, given: string, options: CallOptions): Promise<Secret> {
  return resolve(given, {
    kind: 'secret',
    get: async (secretId) => (await control.getSecret({ secretId }, options)).secret,
    list: async (filters) => (await control.listSecrets({ filters }, options)).secrets,
  });
}

/** Finds a config by id, name or id prefix. */
export function resolveConfig(control: ControlClient, given: string, options: CallOptions): Promise<Config> {
  return resolve(given, {
    kind: 'config',
    get: async (configId) => (await control.getConfig({ configId }, options)).config,
    list: async (filters) => (await control.listConfigs({ filters }, options)).configs,
  });
}
