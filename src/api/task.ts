import { TaskState, type Task, type TaskSpec } from './messages.js';

/** The name of a task as users see it: `service.slot.id`, or `service.node.id` where there is no slot. */
export function taskName(task: Task): string {
  if (task.annotations !== undefined && task.annotations.name !== '') return task.annotations.name;
  const slot = task.slot === 0n ? task.nodeId : task.slot.toString();
  return `${task.serviceAnnotations?.name ?? ''}.${slot}.${task.id}`;
}

/** Name of a task's runtime as filters spell it; empty when none is set. */
export function runtimeName(spec: TaskSpec | undefined): string {
  const runtime = spec?.runtime;
  switch (runtime?.case) {
    case 'container':
    case 'attachment':
      return runtime.case;
    case 'generic':
      return runtime.value.kind.toLowerCase();
    default:
      return '';
  }
}

/** Observed state; NEW where no status was written yet. */
export function taskState(task: Task): TaskState {
  return task.status?.state ?? TaskState.NEW;
}

/** Whether the task has ended and can never run again. */
export function isTerminal(state: TaskState): boolean {
  return state > TaskState.RUNNING;
}

/** The name of a task state as it is printed: capitalized words of the enum. */
export function taskStateName(state: TaskState): string {
  return TaskState[state] ?? `UNKNOWN(${state})`;
}
