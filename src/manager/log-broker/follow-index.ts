import type { ObjectEvent } from '../../store/index.js';
import type { LogSubscription } from './subscription.js';

type TaskEvent = ObjectEvent & { readonly table: 'task' };

/** Subscriptions that follow, by what they select; an event finds them without a search. */
export class FollowIndex {
  readonly #byService = new Map<string, Set<LogSubscription>>();
  readonly #byTask = new Map<string, Set<LogSubscription>>();

  add(subscription: LogSubscription): void {
    for (const id of subscription.selector.serviceIds) into(this.#byService, id, subscription);
    for (const id of subscription.selector.taskIds) into(this.#byTask, id, subscription);
  }

  delete(subscription: LogSubscription): void {
    for (const id of subscription.selector.serviceIds) outOf(this.#byService, id, subscription);
    for (const id of subscription.selector.taskIds) outOf(this.#byTask, id, subscription);
  }

  /** Whether an event can concern a follower; cheap, for the publisher's filter. Only new nodes matter. */
  concerns(event: ObjectEvent): boolean {
    if (event.table !== 'task') return false;
    if (event.kind === 'update' && event.object.nodeId === event.oldObject.nodeId) return false;
    return this.#byService.has(event.object.serviceId) || this.#byTask.has(event.object.id);
  }

  /** The followers that select the task of this event. */
  find(event: TaskEvent): ReadonlySet<LogSubscription> {
    return new Set([
      ...(this.#byService.get(event.object.serviceId) ?? []),
      ...(this.#byTask.get(event.object.id) ?? []),
    ]);
  }
}

function into(index: Map<string, Set<LogSubscription>>, id: string, subscription: LogSubscription): void {
  const found = index.get(id);
  if (found === undefined) index.set(id, new Set([subscription]));
  else found.add(subscription);
}

function outOf(index: Map<string, Set<LogSubscription>>, id: string, subscription: LogSubscription): void {
  const found = index.get(id);
  found?.delete(subscription);
  if (found?.size === 0) index.delete(id);
}
