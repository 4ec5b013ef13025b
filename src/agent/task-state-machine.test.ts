import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { TaskState } from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';
import { ExitError, TemporaryError } from './exec/index.js';
import {
  TRANSITIONS,
  failureState,
  mayTransition,
  nextStep,
  outcomeOf,
  settle,
  type Outcome,
  type Step,
} from './task-state-machine.js';

const STATES = Object.values(TaskState).filter((state): state is TaskState => typeof state === 'number');
const OUTCOMES: readonly Outcome[] = [
  { kind: 'done' },
  { kind: 'canceled' },
  { kind: 'temporary', error: 'later' },
  { kind: 'temporary', error: undefined },
  { kind: 'fatal', error: 'boom', exitCode: undefined },
];

/** The controller call (or none) for a task, written down row by row: section 5.2 of the task model. */
const STEPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  // state: desired READY, RUNNING, COMPLETE, SHUTDOWN, REMOVE
  NEW: row('-', '-', '-', 'shutdown', 'shutdown'),
  PENDING: row('-', '-', '-', 'shutdown', 'shutdown'),
  ASSIGNED: row('ACCEPTED', 'ACCEPTED', 'ACCEPTED', 'shutdown', 'shutdown'),
  ACCEPTED: row('PREPARING', 'PREPARING', 'PREPARING', 'shutdown', 'shutdown'),
  PREPARING: row('prepare', 'prepare', 'prepare', 'shutdown', 'shutdown'),
  READY: row('-', 'STARTING', 'STARTING', 'shutdown', 'shutdown'),
  STARTING: row('-', 'start', 'start', 'shutdown', 'shutdown'),
  RUNNING: row('-', 'wait', 'wait', 'shutdown', 'shutdown'),
  COMPLETE: row('-', '-', '-', '-', '-'),
  SHUTDOWN: row('-', '-', '-', '-', '-'),
  FAILED: row('-', '-', '-', '-', '-'),
  REJECTED: row('-', '-', '-', '-', '-'),
  REMOVE: row('-', '-', '-', '-', '-'),
  ORPHANED: row('-', '-', '-', '-', '-'),
};

function row(...cells: string[]): Record<string, string> {
  const desired = ['READY', 'RUNNING', 'COMPLETE', 'SHUTDOWN', 'REMOVE'];
  return Object.fromEntries(desired.map((name, at) => [name, cells[at] ?? '']));
}

function describeStep(step: Step): string {
  if (step.kind === 'pause') return '-';
  return step.kind === 'operate' ? step.operation : TaskState[step.to];
}

describe('the next step of a task', () => {
  for (const [state, byDesired] of Object.entries(STEPS)) {
    for (const [desired, expected] of Object.entries(byDesired)) {
      it(`is ${expected} in ${state} when ${desired} is desired`, () => {
        const step = nextStep(TaskState[state as keyof typeof TaskState], TaskState[desired as keyof typeof TaskState]);
        expect(describeStep(step)).toBe(expected);
      });
    }
  }

  it('is decided for every pair of states, known or not', () => {
    const all = [...STATES, ...(JSON.parse('[100, 300, 999]') as TaskState[])];
    for (const state of all) {
      for (const desired of all) expect(['pause', 'advance', 'operate']).toContain(nextStep(state, desired).kind);
    }
  });
});

describe('the result of a step', () => {
  const LEADS: Readonly<Record<string, string>> = {
    ACCEPTED: 'ACCEPTED',
    PREPARING: 'PREPARING',
    prepare: 'READY',
    STARTING: 'STARTING',
    start: 'RUNNING',
    wait: 'COMPLETE',
    shutdown: 'SHUTDOWN',
  };

  for (const state of STATES.filter((s) => s >= TaskState.ASSIGNED)) {
    for (const desired of [
      TaskState.READY,
      TaskState.RUNNING,
      TaskState.COMPLETE,
      TaskState.SHUTDOWN,
      TaskState.REMOVE,
    ]) {
      const step = nextStep(state, desired);
      if (step.kind === 'pause') continue;
      for (const outcome of OUTCOMES) {
        it(`of ${describeStep(step)} in ${TaskState[state]} (desired ${TaskState[desired]}), ${outcome.kind}`, () => {
          const result = settle(state, step, outcome);
          switch (outcome.kind) {
            case 'done':
              expect(result).toMatchObject({
                state: TaskState[LEADS[describeStep(step)] as 'READY'],
                err: '',
                retry: false,
              });
              expect(result.message).not.toBe('');
              break;
            case 'canceled':
              expect(result).toEqual({ state, retry: false });
              break;
            case 'temporary':
              expect(result).toEqual(
                outcome.error === undefined ? { state, retry: true } : { state, err: 'later', retry: true },
              );
              break;
            case 'fatal':
              expect(result).toEqual({
                state: state < TaskState.STARTING ? TaskState.REJECTED : TaskState.FAILED,
                err: 'boom',
                retry: false,
              });
          }
        });
      }
    }
  }

  it('never goes backwards and always ends, whatever happens in whatever order', () => {
    const event = fc.record({
      desired: fc.constantFrom(
        TaskState.READY,
        TaskState.RUNNING,
        TaskState.COMPLETE,
        TaskState.SHUTDOWN,
        TaskState.REMOVE,
      ),
      outcome: fc.constantFrom(...OUTCOMES),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...STATES.filter((s) => s >= TaskState.ASSIGNED)),
        fc.array(event),
        (start, events) => {
          let state = start;
          let desired = TaskState.READY as TaskState;
          for (const { desired: wanted, outcome } of events) {
            if (wanted > desired) desired = wanted;
            const step = nextStep(state, desired);
            if (step.kind === 'pause') continue;
            const result = settle(state, step, outcome);
            expect(result.state).toBeGreaterThanOrEqual(state);
            if (result.state !== state) expect(mayTransition(state, result.state, 'agent')).toBe(true);
            state = result.state;
          }
        },
      ),
    );
  });

  it('stops loudly where the table has no such transition', () => {
    const step: Step = { kind: 'advance', to: TaskState.ACCEPTED, message: 'x' };
    expect(() => settle(TaskState.RUNNING, step, { kind: 'done' })).toThrow('from RUNNING to ACCEPTED');
  });
});

describe('the table of transitions', () => {
  it('only leads forward', () => {
    for (const { from, to } of TRANSITIONS) expect(to).toBeGreaterThan(from.max);
  });

  it('gives agents no state of others, and others none of theirs', () => {
    for (const { to, by } of TRANSITIONS) {
      if (to <= TaskState.ASSIGNED || to === TaskState.ORPHANED) expect(by).not.toContain('agent');
      if (to > TaskState.ASSIGNED && to <= TaskState.COMPLETE) expect(by).toEqual(['agent']);
    }
  });

  it('leaves no terminal state', () => {
    for (const from of STATES.filter((s) => s > TaskState.RUNNING)) {
      for (const to of STATES) expect(mayTransition(from, to, 'agent')).toBe(false);
    }
  });
});

describe('what an error means', () => {
  it.each([
    [new ExitError(3, 'x'), false, { kind: 'fatal', error: 'task: non-zero exit (3): x', exitCode: 3 }],
    [new ExitError(3, ''), true, { kind: 'fatal', error: 'task: non-zero exit (3)', exitCode: 3 }],
    [new TemporaryError('later'), false, { kind: 'temporary', error: 'later' }],
    [new TemporaryError('later'), true, { kind: 'canceled' }],
    [new SwarmError(Code.DEADLINE_EXCEEDED, 'x'), false, { kind: 'temporary', error: undefined }],
    [new SwarmError(Code.CANCELED, 'x'), false, { kind: 'temporary', error: undefined }],
    [new Error('boom'), false, { kind: 'fatal', error: 'boom', exitCode: undefined }],
    ['text', false, { kind: 'fatal', error: 'text', exitCode: undefined }],
    [new Error('boom'), true, { kind: 'canceled' }],
  ])('%s (aborted: %s)', (error, aborted, expected) => {
    expect(outcomeOf(error, aborted)).toEqual(expected);
  });

  it('is not told at more length than a status may have', () => {
    const outcome = outcomeOf(new Error('x'.repeat(1_000_000)), false);
    expect(outcome.kind === 'fatal' && outcome.error.length).toBe(16_384);
  });

  it('fails a terminal task no further', () => {
    expect(failureState(TaskState.COMPLETE)).toBe(TaskState.COMPLETE);
  });
});
