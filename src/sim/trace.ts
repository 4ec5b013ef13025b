import {
  NodeSpec_Availability,
  NodeStatus_State,
  TaskState,
  taskState,
  UpdateStatus_UpdateState,
} from '../api/index.js';
import type { Clock } from '../base/index.js';
import type { ObjectEvent, ReadTransaction, StoreEvent } from '../store/index.js';
import type { StoreWatcher } from './observer.js';

/** Everything that happened, a line each, with its virtual time: the same for the same seed. */
export class Trace implements StoreWatcher {
  readonly lines: string[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(text: string): void {
    this.lines.push(`${this.#clock.monotonicMs().toFixed(3)} ${text}`);
  }

  begin(tx: ReadTransaction): void {
    this.note(`serving ${tx.count('service')} services, ${tx.count('task')} tasks, ${tx.count('node')} nodes`);
  }

  event(event: StoreEvent): void {
    if (event.kind === 'commit') this.note(`commit ${event.version}`);
    else this.note(`  ${event.kind} ${event.table} ${event.object.id} v${version(event)} ${facts(event)}`.trimEnd());
  }

  /** The last lines. */
  tail(lines: number): string {
    return this.lines.slice(-lines).join('\n');
  }
}

function version(event: ObjectEvent): string {
  return (event.object.meta?.version?.index ?? 0n).toString();
}

/** What counts of an object; never its certificates, which are other ones in every run. */
function facts(event: ObjectEvent): string {
  switch (event.table) {
    case 'task': {
      const { serviceId, slot, nodeId, desiredState, status } = event.object;
      const state = `${TaskState[taskState(event.object)]}/${TaskState[desiredState]}`;
      return `slot ${serviceId.slice(0, 6)}.${slot} node ${nodeId} ${state} ${status?.err ?? ''}`;
    }
    case 'node': {
      const { status, spec } = event.object;
      const state = NodeStatus_State[status?.state ?? NodeStatus_State.UNKNOWN];
      return `${state} ${NodeSpec_Availability[spec?.availability ?? NodeSpec_Availability.ACTIVE]}`;
    }
    case 'service': {
      const { spec, updateStatus } = event.object;
      return `${spec?.annotations?.name} ${updateStatus === undefined ? '' : UpdateStatus_UpdateState[updateStatus.state]}`;
    }
    default:
      return '';
  }
}
