import type { Node, Service } from '../../api/index.js';
import { Code, isSwarmError } from '../../base/index.js';
import type { Session } from './session.js';

/** Up to this many names are asked for one by one; beyond, one list costs less. */
const SINGLE_LOOKUPS_MAX = 16;

/** Names by id, for showing. */
export type Names = ReadonlyMap<string, string>;

/** Name of a node as users know it. */
export function nodeName(node: Node): string {
  const name = node.spec?.annotations?.name ?? '';
  return name === '' ? (node.description?.hostname ?? '') : name;
}

/** Names of these nodes; ids that stand for nothing any more, or all with `--no-resolve`, are left out. */
export function nodeNames(session: Session, ids: Iterable<string>): Promise<Names> {
  const { control, call } = session;
  return namesOf(session, ids, nodeName, {
    get: async (nodeId) => (await control.getNode({ nodeId }, call)).node,
    list: async () => (await control.listNodes({}, call)).nodes,
  });
}

/** Names of these services, in the same way. */
export function serviceNames(session: Session, ids: Iterable<string>): Promise<Names> {
  const { control, call } = session;
  return namesOf<Service>(session, ids, (service) => service.spec?.annotations?.name ?? '', {
    get: async (serviceId) => (await control.getService({ serviceId }, call)).service,
    list: async () => (await control.listServices({}, call)).services,
  });
}

async function namesOf<T extends { readonly id: string }>(
  { flags }: Session,
  ids: Iterable<string>,
  nameOf: (object: T) => string,
  source: { get(id: string): Promise<T | undefined>; list(): Promise<readonly T[]> },
): Promise<Names> {
  const wanted = [...new Set(ids)].filter((id) => id !== '');
  if (!flags.resolve || wanted.length === 0) return new Map();
  const found =
    wanted.length > SINGLE_LOOKUPS_MAX
      ? await source.list()
      : await Promise.all(wanted.map((id) => source.get(id).catch(ignoreMissing)));
  return new Map(
    found.flatMap((object) => (object === undefined || nameOf(object) === '' ? [] : [[object.id, nameOf(object)]])),
  );
}

function ignoreMissing(error: unknown): undefined {
  if (isSwarmError(error, Code.NOT_FOUND)) return undefined;
  throw error;
}
