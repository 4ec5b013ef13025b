import type { Task, Volume } from '../../api/index.js';
import type { ObjectEvent } from '../../store/index.js';
import type { AssignmentSet } from './assignment-set.js';
import type { SessionStream } from './node-session.js';

/** An open assignments or tasks stream, as events see it. */
export interface Listener {
  readonly set: AssignmentSet;
  readonly stream: SessionStream;
}

/**
 * Leads store events to the streams of the nodes that they concern. One index for all of them: the cost
 * of an event does not depend on the number of nodes.
 */
export class EventRouter {
  readonly #listeners = new Map<string, Set<Listener>>();

  /** Routes events to a stream until disposed. */
  add(listener: Listener): Disposable {
    const { nodeId } = listener.set;
    const ofNode = this.#listeners.get(nodeId) ?? new Set();
    this.#listeners.set(nodeId, ofNode.add(listener));
    return {
      [Symbol.dispose]: () => {
        ofNode.delete(listener);
        if (ofNode.size === 0 && this.#listeners.get(nodeId) === ofNode) this.#listeners.delete(nodeId);
      },
    };
  }

  /** Whether an event of a task or volume concerns an open stream; cheap, for the publisher's filter. */
  concerns(event: ObjectEvent): boolean {
    switch (event.table) {
      case 'task':
        return (
          this.#listeners.has(event.object.nodeId) ||
          (event.kind === 'update' && this.#listeners.has(event.oldObject.nodeId))
        );
      case 'volume':
        return true;
      default:
        return false;
    }
  }

  /** Marks what a task event changed and wakes the streams that have something to send. */
  task(event: ObjectEvent & { readonly table: 'task' }): void {
    if (event.kind === 'remove') {
      this.#touch(event.object.nodeId, (set) => set.touchTask(event.object.id));
      return;
    }
    this.#observe(event.object.nodeId, event.object);
    if (event.kind === 'update' && event.oldObject.nodeId !== event.object.nodeId) {
      this.#touch(event.oldObject.nodeId, (set) => set.touchTask(event.object.id));
    }
  }

  /** Marks a volume on every node that it is or was published to. */
  volume(event: ObjectEvent & { readonly table: 'volume' }): void {
    const nodeIds = new Set(publishedTo(event.object));
    if (event.kind === 'update') for (const nodeId of publishedTo(event.oldObject)) nodeIds.add(nodeId);
    for (const nodeId of nodeIds) this.#touch(nodeId, (set) => set.touchVolume(event.object.id));
  }

  /** Makes every stream compare everything, after events were missed. */
  touchAll(): void {
    for (const nodeId of this.#listeners.keys()) this.#touch(nodeId, (set) => set.touchAll());
  }

  #observe(nodeId: string, task: Task): void {
    for (const { set, stream } of this.#listeners.get(nodeId) ?? []) {
      if (set.observeTask(task)) stream.wakeUp.notify();
    }
  }

  #touch(nodeId: string, mark: (set: AssignmentSet) => void): void {
    for (const { set, stream } of this.#listeners.get(nodeId) ?? []) {
      mark(set);
      stream.wakeUp.notify();
    }
  }
}

function publishedTo(volume: Volume): string[] {
  return volume.publishStatus.map(({ nodeId }) => nodeId);
}
