import { TaskState, taskStateName } from '../api/index.js';
import { Code, SwarmError, errorText, isSwarmError } from '../base/index.js';
import { ExitError, TemporaryError } from './exec/index.js';

/** Who writes the observed state of a task. */
export type TaskWriter =
  | 'allocator'
  | 'scheduler'
  | 'agent'
  | 'constraint-enforcer'
  | 'volume-enforcer'
  | 'dispatcher'
  | 'control-api';

/** One legal change of the observed state. States in between (a newer version's) count by their number. */
export interface Transition {
  readonly from: { readonly min: TaskState; readonly max: TaskState };
  readonly to: TaskState;
  readonly by: readonly TaskWriter[];
  readonly when: string;
}

/** Every legal transition between two states, and who may make it. Creation and deletion are not in it. */
export const TRANSITIONS: readonly Transition[] = [
  row(TaskState.NEW, TaskState.NEW, TaskState.PENDING, ['allocator'], 'network resources are given'),
  row(TaskState.PENDING, TaskState.PENDING, TaskState.ASSIGNED, ['scheduler'], 'a node was chosen or confirmed'),
  row(TaskState.PENDING, TaskState.PENDING, TaskState.SHUTDOWN, ['scheduler'], 'obsolete before it was placed'),
  row(TaskState.ASSIGNED, TaskState.ASSIGNED, TaskState.ACCEPTED, ['agent'], 'the executor gave a controller'),
  row(TaskState.ACCEPTED, TaskState.ACCEPTED, TaskState.PREPARING, ['agent'], 'desired is beyond'),
  row(TaskState.PREPARING, TaskState.PREPARING, TaskState.READY, ['agent'], 'prepare succeeded'),
  row(TaskState.READY, TaskState.READY, TaskState.STARTING, ['agent'], 'desired is beyond'),
  row(TaskState.STARTING, TaskState.STARTING, TaskState.RUNNING, ['agent'], 'start succeeded'),
  row(TaskState.RUNNING, TaskState.RUNNING, TaskState.COMPLETE, ['agent'], 'wait succeeded'),
  row(TaskState.STARTING, TaskState.RUNNING, TaskState.FAILED, ['agent'], 'a fatal error'),
  row(TaskState.ASSIGNED, TaskState.READY, TaskState.REJECTED, ['agent'], 'a fatal error'),
  row(TaskState.ASSIGNED, TaskState.RUNNING, TaskState.SHUTDOWN, ['agent'], 'desired SHUTDOWN, shutdown succeeded'),
  row(
    TaskState.NEW,
    TaskState.RUNNING,
    TaskState.REJECTED,
    ['constraint-enforcer', 'volume-enforcer'],
    'the node or the volume fits no longer',
  ),
  row(TaskState.ASSIGNED, TaskState.RUNNING, TaskState.ORPHANED, ['dispatcher', 'control-api'], 'the node is lost'),
];

function row(min: TaskState, max: TaskState, to: TaskState, by: readonly TaskWriter[], when: string): Transition {
  return { from: { min, max }, to, by, when };
}

/** Whether this writer may move a task from one observed state to the other. */
export function mayTransition(from: TaskState, to: TaskState, by: TaskWriter): boolean {
  return TRANSITIONS.some((t) => t.to === to && from >= t.from.min && from <= t.from.max && t.by.includes(by));
}

/** A controller call that moves a task on. */
export type Operation = 'prepare' | 'start' | 'wait' | 'shutdown';

/** What to do next with a task. */
export type Step =
  /** Nothing until the desired state or the definition changes. */
  | { readonly kind: 'pause' }
  /** Go to the next state without the controller. */
  | { readonly kind: 'advance'; readonly to: TaskState; readonly message: string }
  /** Call the controller; success leads to the next state. */
  | { readonly kind: 'operate'; readonly operation: Operation; readonly to: TaskState; readonly message: string };

const PAUSE: Step = { kind: 'pause' };
const SHUTDOWN: Step = { kind: 'operate', operation: 'shutdown', to: TaskState.SHUTDOWN, message: 'shutdown' };

/** Steps that go on although the desired state is reached: the work was begun. */
const UNDER_WAY: ReadonlyMap<TaskState, Step> = new Map<TaskState, Step>([
  [TaskState.PREPARING, { kind: 'operate', operation: 'prepare', to: TaskState.READY, message: 'prepared' }],
  [TaskState.STARTING, { kind: 'operate', operation: 'start', to: TaskState.RUNNING, message: 'started' }],
  [TaskState.RUNNING, { kind: 'operate', operation: 'wait', to: TaskState.COMPLETE, message: 'finished' }],
]);

/** Steps that need a desired state beyond the present one. */
const PAUSING: ReadonlyMap<TaskState, Step> = new Map<TaskState, Step>([
  [TaskState.ASSIGNED, { kind: 'advance', to: TaskState.ACCEPTED, message: 'accepted' }],
  [TaskState.ACCEPTED, { kind: 'advance', to: TaskState.PREPARING, message: 'preparing' }],
  [TaskState.READY, { kind: 'advance', to: TaskState.STARTING, message: 'starting' }],
]);

/** The next step of a task in `state` whose desired state is `desired`. */
export function nextStep(state: TaskState, desired: TaskState): Step {
  if (state > TaskState.RUNNING) return PAUSE;
  if (desired >= TaskState.SHUTDOWN) return SHUTDOWN;
  if (state > desired) return PAUSE;
  const underWay = UNDER_WAY.get(state);
  if (underWay !== undefined) return underWay;
  return state < desired ? (PAUSING.get(state) ?? PAUSE) : PAUSE;
}

/** How a step went. */
export type Outcome =
  | { readonly kind: 'done' }
  /** Given up because something else is to be done now. */
  | { readonly kind: 'canceled' }
  /** To be tried again; `error` is shown unless it says nothing (an operation that ran out of time). */
  | { readonly kind: 'temporary'; readonly error: string | undefined }
  | { readonly kind: 'fatal'; readonly error: string; readonly exitCode: number | undefined };

/** Longest error text kept in a status, in characters: statuses of many tasks share one message. */
const ERROR_TEXT_MAX = 16_384;

/** What a thrown value means for the task. `aborted`: the caller itself gave the operation up. */
export function outcomeOf(error: unknown, aborted: boolean): Outcome {
  const text = errorText(error).slice(0, ERROR_TEXT_MAX);
  if (error instanceof ExitError) return { kind: 'fatal', error: text, exitCode: error.exitCode };
  if (aborted) return { kind: 'canceled' };
  if (error instanceof TemporaryError) return { kind: 'temporary', error: text };
  if (isSwarmError(error, Code.CANCELED) || isSwarmError(error, Code.DEADLINE_EXCEEDED)) {
    return { kind: 'temporary', error: undefined };
  }
  return { kind: 'fatal', error: text, exitCode: undefined };
}

/** What becomes of a task's status; fields left out stay as they are. */
export interface Settlement {
  readonly state: TaskState;
  readonly message?: string;
  readonly err?: string;
  /** Try the same again after the retry delay. */
  readonly retry: boolean;
}

/** The result of a step for a task in `state`. Never leads backwards, and only along {@link TRANSITIONS}. */
export function settle(state: TaskState, step: Exclude<Step, { kind: 'pause' }>, outcome: Outcome): Settlement {
  switch (outcome.kind) {
    case 'done':
      return checked(state, { state: step.to, message: step.message, err: '', retry: false });
    case 'canceled':
      return { state, retry: false };
    case 'temporary':
      return outcome.error === undefined ? { state, retry: true } : { state, err: outcome.error, retry: true };
    case 'fatal':
      return checked(state, { state: failureState(state), err: outcome.error, retry: false });
  }
}

/** The terminal state of a task that meets a fatal error in `state`. */
export function failureState(state: TaskState): TaskState {
  if (state > TaskState.RUNNING) return state;
  return state < TaskState.STARTING ? TaskState.REJECTED : TaskState.FAILED;
}

function checked(from: TaskState, settlement: Settlement): Settlement {
  if (!mayTransition(from, settlement.state, 'agent')) {
    throw new SwarmError(
      Code.INTERNAL,
      `an agent may not move a task from ${taskStateName(from)} to ${taskStateName(settlement.state)}`,
    );
  }
  return settlement;
}
