import { timestampFromMs, type TaskStatus } from '../../api/index.js';
import { errorText, sleep, type Clock, type Logger, type SwarmError } from '../../base/index.js';
import type { Batch, Store, WriteTransaction } from '../../store/index.js';
import { writeNodeUpdate, writeTaskStatus, writeVolumeUnpublished, type Applied, type NodeUpdate } from './changes.js';
import { CoalescingWriter } from './coalescing-writer.js';

/** Items handled before the event loop gets a turn: about a millisecond's work. */
const ITEMS_PER_TURN = 200;

/** A status as reported, and by which node. */
export interface Report {
  readonly nodeId: string;
  readonly status: TaskStatus;
}

/** What the writers need. */
export interface WriterDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Id of this manager's node. */
  readonly nodeId: string;
  /** Milliseconds from creation to RUNNING, for every task that gets there. */
  readonly observeSchedulingDelay: (delayMs: number) => void;
  /** What these nodes reported was acknowledged and not written: they must report again. */
  readonly reportsLost: (nodeIds: ReadonlySet<string>, error: SwarmError) => void;
}

/** The dispatcher's writes to the store, each kind batched by readiness. */
export class DispatcherWriters {
  readonly #deps: WriterDependencies;
  readonly #nodes: CoalescingWriter<NodeUpdate>;
  readonly #tasks: CoalescingWriter<Report>;
  readonly #volumes: CoalescingWriter<ReadonlySet<string>>;

  constructor(deps: WriterDependencies) {
    this.#deps = deps;
    this.#nodes = new CoalescingWriter<NodeUpdate>({
      // A node that goes down at once after registering still gets its new description and address.
      merge: (waiting, newer) => ({
        ...newer,
        description: newer.description ?? waiting.description,
        addr: newer.addr === '' ? waiting.addr : newer.addr,
      }),
      write: (entries) => this.#write(entries, (tx, id, update) => writeNodeUpdate(tx, id, update)),
      failed: (entries, error) =>
        deps.log.warn({ error: error.message, nodes: entries.size }, 'node states could not be written'),
    });
    this.#tasks = new CoalescingWriter<Report>({
      merge: (waiting, newer) => (newer.status.state < waiting.status.state ? waiting : newer),
      write: (entries) => this.#writeReports(entries),
      failed: (entries, error) => deps.reportsLost(new Set([...entries.values()].map(({ nodeId }) => nodeId)), error),
    });
    this.#volumes = new CoalescingWriter<ReadonlySet<string>>({
      merge: (waiting, newer) => new Set([...waiting, ...newer]),
      write: (entries) => this.#write(entries, (tx, id, nodeIds) => writeVolumeUnpublished(tx, id, nodeIds)),
      failed: (entries, error) => deps.reportsLost(new Set([...entries.values()].flatMap((ids) => [...ids])), error),
    });
  }

  /** Queues a node's state; resolves when it is committed. */
  node(nodeId: string, update: NodeUpdate): Promise<void> {
    return this.#nodes.put(nodeId, update);
  }

  /** Queues a status. An older report of the task that still waits is replaced. */
  task(taskId: string, report: Report): void {
    void this.#tasks.put(taskId, report);
  }

  /** Queues that a node has unpublished a volume. */
  volumeUnpublished(volumeId: string, nodeId: string): void {
    void this.#volumes.put(volumeId, new Set([nodeId]));
  }

  /** Writes until the signal aborts, then once more what still waits. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#nodes.run(signal), this.#tasks.run(signal), this.#volumes.run(signal)]);
  }

  /** Applies a change for each id in as few log entries as possible; one that fails does not harm the others. */
  async batch(ids: Iterable<string>, change: (tx: WriteTransaction, id: string) => void): Promise<void> {
    const idle = new AbortController().signal;
    await this.#deps.store.batch(async (batch) => {
      let items = 0;
      for (const id of ids) {
        this.#apply(batch, id, change);
        if (++items % ITEMS_PER_TURN === 0) await sleep(this.#deps.clock, 0, idle);
      }
    });
  }

  /** Who writes now. */
  applied(): Applied {
    return { by: this.#deps.nodeId, at: timestampFromMs(this.#deps.clock.nowMs()) };
  }

  #write<V>(
    entries: ReadonlyMap<string, V>,
    change: (tx: WriteTransaction, id: string, value: V) => void,
  ): Promise<void> {
    return this.batch(entries.keys(), (tx, id) => change(tx, id, entries.get(id) as V));
  }

  async #writeReports(entries: ReadonlyMap<string, Report>): Promise<void> {
    const applied = this.applied();
    await this.#write(entries, (tx, taskId, { nodeId, status }) => {
      const delayMs = writeTaskStatus(tx, nodeId, taskId, status, applied);
      if (delayMs !== undefined) this.#deps.observeSchedulingDelay(delayMs);
    });
  }

  /** A refused change is logged and passed over; an error of the log itself ends the whole batch. */
  #apply(batch: Batch, id: string, change: (tx: WriteTransaction, id: string) => void): void {
    batch.update((tx) => {
      try {
        change(tx, id);
      } catch (error) {
        this.#deps.log.error({ id, error: errorText(error) }, 'a change was refused by the store');
      }
    });
  }
}
