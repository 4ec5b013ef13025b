import type {
  Cluster,
  Config,
  Extension,
  Network,
  Node,
  Resource,
  Secret,
  Service,
  Task,
  Volume,
} from '../api/index.js';

/** Every table of the store and the objects it holds. */
export interface Objects {
  readonly node: Node;
  readonly service: Service;
  readonly network: Network;
  readonly task: Task;
  readonly cluster: Cluster;
  readonly secret: Secret;
  readonly config: Config;
  readonly resource: Resource;
  readonly extension: Extension;
  readonly volume: Volume;
}

/** Name of a table. */
export type TableName = keyof Objects;

/** All tables, in the order in which a snapshot is restored. */
export const TABLE_NAMES: readonly TableName[] = [
  'cluster',
  'extension',
  'node',
  'network',
  'service',
  'secret',
  'config',
  'volume',
  'resource',
  'task',
];
