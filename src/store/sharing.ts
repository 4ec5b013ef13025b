import type { NetworkAttachment, Service, Task } from '../api/index.js';
import { sameMessage } from './freeze.js';
import type { StoredObject } from './table.js';
import type { TableName } from './tables.js';
import type { HeadTables } from './transaction.js';

/** Service versions whose latest task is remembered as a model. A bound, not a tuning knob. */
const MODELS_MAX = 1024;

/**
 * Lets decoded objects share what they have in common: an update shares what it did not change with the
 * object it replaces, a new task shares its spec with the other tasks of its service's version. A decoded
 * task is some 8 KB of heap, nearly all of it spec.
 */
export class Sharing {
  readonly #models = new Map<string, Task>();

  constructor(readonly tables: HeadTables) {}

  /** The object, or one that says the same and shares parts with what is stored. */
  share(table: TableName, object: StoredObject): StoredObject {
    const old = this.tables.get(table)?.get(object.id);
    if (table !== 'task') return old === undefined ? object : shareFields(old, object);
    const shared = this.#shareTask(old as Task | undefined, object as Task);
    this.#remember(shared);
    return shared;
  }

  #shareTask(old: Task | undefined, task: Task): Task {
    const model = old ?? this.#models.get(modelKey(task));
    if (model === undefined) return this.#shareSpec(task);
    const shared = shareFields(model, task);
    if (shared.networks === model.networks) return shared;
    return { ...shared, networks: shared.networks.map((each, index) => shareNetwork(model.networks[index], each)) };
  }

  #shareSpec(task: Task): Task {
    const service = this.tables.get('service')?.get(task.serviceId) as Service | undefined;
    const specs = [service?.spec?.task, service?.previousSpec?.task];
    const spec = specs.find((each) => each !== undefined && sameMessage(each, task.spec));
    return spec === undefined ? task : { ...task, spec };
  }

  #remember(task: Task): void {
    if (task.serviceId === '') return;
    const key = modelKey(task);
    this.#models.delete(key);
    this.#models.set(key, task);
    if (this.#models.size <= MODELS_MAX) return;
    for (const oldest of this.#models.keys()) {
      this.#models.delete(oldest);
      return;
    }
  }
}

function modelKey(task: Task): string {
  return `${task.serviceId}/${task.specVersion?.index ?? ''}`;
}

function shareNetwork(model: NetworkAttachment | undefined, attachment: NetworkAttachment): NetworkAttachment {
  return model === undefined ? attachment : shareFields(model, attachment);
}

function shareFields<T extends object>(model: T, object: T): T {
  const shared = { ...object };
  for (const name of Object.keys(object) as (keyof T)[]) {
    if (sameMessage(model[name], object[name])) shared[name] = model[name];
  }
  return shared;
}
