import type { NodeRole, NodeSpec_Membership, TaskState } from '../api/index.js';

/** Selects objects of a table. Which finders a table supports: `docs/architecture.md`, or SwarmKit 3.1. */
export type By =
  | { readonly kind: 'all' }
  | { readonly kind: 'or'; readonly any: readonly By[] }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'namePrefix'; readonly prefix: string }
  | { readonly kind: 'idPrefix'; readonly prefix: string }
  | { readonly kind: 'custom'; readonly index: string; readonly key: string }
  | { readonly kind: 'customPrefix'; readonly index: string; readonly prefix: string }
  | { readonly kind: 'role'; readonly role: NodeRole }
  | { readonly kind: 'membership'; readonly membership: NodeSpec_Membership }
  | { readonly kind: 'runtime'; readonly runtime: string }
  | { readonly kind: 'service'; readonly serviceId: string }
  | { readonly kind: 'node'; readonly nodeId: string }
  | { readonly kind: 'slot'; readonly serviceId: string; readonly slot: bigint }
  | { readonly kind: 'desiredState'; readonly state: TaskState }
  | { readonly kind: 'taskState'; readonly state: TaskState }
  | { readonly kind: 'referencedNetwork'; readonly networkId: string }
  | { readonly kind: 'referencedSecret'; readonly secretId: string }
  | { readonly kind: 'referencedConfig'; readonly configId: string }
  | { readonly kind: 'volumeAttachment'; readonly volumeId: string }
  | { readonly kind: 'resourceKind'; readonly resourceKind: string }
  | { readonly kind: 'group'; readonly group: string }
  | { readonly kind: 'driver'; readonly driver: string };

/** Constructors of finders. Names and prefixes of names ignore case; ids do not. */
export const by = {
  all: (): By => ({ kind: 'all' }),
  or: (...any: readonly By[]): By => ({ kind: 'or', any }),
  name: (name: string): By => ({ kind: 'name', name }),
  namePrefix: (prefix: string): By => ({ kind: 'namePrefix', prefix }),
  idPrefix: (prefix: string): By => ({ kind: 'idPrefix', prefix }),
  custom: (index: string, key: string): By => ({ kind: 'custom', index, key }),
  customPrefix: (index: string, prefix: string): By => ({ kind: 'customPrefix', index, prefix }),
  role: (role: NodeRole): By => ({ kind: 'role', role }),
  membership: (membership: NodeSpec_Membership): By => ({ kind: 'membership', membership }),
  runtime: (runtime: string): By => ({ kind: 'runtime', runtime }),
  service: (serviceId: string): By => ({ kind: 'service', serviceId }),
  node: (nodeId: string): By => ({ kind: 'node', nodeId }),
  slot: (serviceId: string, slot: bigint): By => ({ kind: 'slot', serviceId, slot }),
  desiredState: (state: TaskState): By => ({ kind: 'desiredState', state }),
  taskState: (state: TaskState): By => ({ kind: 'taskState', state }),
  referencedNetwork: (networkId: string): By => ({ kind: 'referencedNetwork', networkId }),
  referencedSecret: (secretId: string): By => ({ kind: 'referencedSecret', secretId }),
  referencedConfig: (configId: string): By => ({ kind: 'referencedConfig', configId }),
  volumeAttachment: (volumeId: string): By => ({ kind: 'volumeAttachment', volumeId }),
  resourceKind: (resourceKind: string): By => ({ kind: 'resourceKind', resourceKind }),
  group: (group: string): By => ({ kind: 'group', group }),
  driver: (driver: string): By => ({ kind: 'driver', driver }),
} as const;
