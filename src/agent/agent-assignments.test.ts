import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import {
  ConfigSchema,
  SecretSchema,
  TaskSchema,
  TaskState,
  TasksMessageSchema,
  VolumeAssignmentSchema,
} from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';
import { newTask, world } from '../sim/agent-world.test-helper.js';
import { change, taskItem } from './fake-dispatcher.test-helper.js';

describe('assignments', () => {
  it('run a task through all its states', async () => {
    const { dispatcher, start, clock, executor } = world({ containerStatus: true });
    executor.trace = [];
    dispatcher.complete = [taskItem(newTask('t'))];
    await start().agent.ready;
    await clock.settle();
    expect(dispatcher.statuses.get('t')).toMatchObject({
      state: TaskState.RUNNING,
      message: 'started',
      err: '',
      appliedBy: 'manager',
      runtimeStatus: { case: 'container', value: { containerId: 'sim-t', pid: 1 } },
    });
    expect(executor.trace).toEqual(['prepare t', 'start t', 'wait t']);
    dispatcher.send(change(taskItem(newTask('t', { desiredState: TaskState.SHUTDOWN }))));
    await clock.settle();
    expect(dispatcher.state('t')).toBe('SHUTDOWN');
    expect(executor.running()).toEqual([]);
    dispatcher.send(change(taskItem(newTask('t')), true));
    await clock.settle();
    expect(executor.present()).toEqual([]);
    expect(executor.trace.slice(3)).toEqual(['shutdown t', 'remove t', 'close t']);
  });

  it('hold a task at READY until more is desired', async () => {
    const { dispatcher, start, clock } = world();
    dispatcher.complete = [taskItem(newTask('t', { desiredState: TaskState.READY }))];
    await start().agent.ready;
    await clock.advance(10_000);
    expect(dispatcher.state('t')).toBe('READY');
    dispatcher.send(change(taskItem(newTask('t'))));
    await clock.settle();
    expect(dispatcher.state('t')).toBe('RUNNING');
  });

  it('ignore tasks that are not yet assigned, and everything they do not know', async () => {
    const { dispatcher, start, clock, executor } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.send(
      change(taskItem(newTask('pending', { status: { state: TaskState.PENDING } }))),
      change(taskItem(create(TaskSchema, { id: 'blank' }))),
      change(taskItem(newTask(''))),
      change({ case: undefined }),
      { ...change(taskItem(newTask('odd'))), action: 7 as never },
      { ...change({ case: undefined }), assignment: undefined },
      change(taskItem(newTask('good'))),
    );
    await clock.settle();
    expect(executor.running()).toEqual(['good']);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('reset everything when complete', async () => {
    const { dispatcher, start, clock, executor, database } = world();
    dispatcher.complete = [taskItem(newTask('a')), taskItem(newTask('b'))];
    await start().agent.ready;
    await clock.settle();
    expect(executor.running()).toEqual(['a', 'b']);
    dispatcher.sendComplete(taskItem(newTask('b')), taskItem(newTask('c')));
    await clock.settle();
    expect(executor.running()).toEqual(['b', 'c']);
    expect((await database.load()).map(({ task }) => task.id)).toEqual(['b', 'c']);
  });

  it('are asked for anew when one does not follow on the last, and it is not applied', async () => {
    const { dispatcher, start, clock, executor } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.skip();
    dispatcher.complete = [taskItem(newTask('whole'))];
    dispatcher.send(change(taskItem(newTask('gap'))));
    await clock.settle();
    expect(dispatcher.seen.assignmentStreams).toBe(2);
    expect(dispatcher.seen.sessions).toHaveLength(1);
    expect(executor.running()).toEqual(['whole']);
    dispatcher.send(change(taskItem(newTask('next'))));
    await clock.settle();
    expect(executor.running()).toEqual(['next', 'whole']);
  });

  it('that never follow end the session instead of being asked for without end', async () => {
    const { dispatcher, start, clock } = world();
    await start().agent.ready;
    await clock.settle();
    for (let i = 0; i < 100; i++) {
      dispatcher.skip();
      dispatcher.send();
    }
    await clock.settle();
    expect(dispatcher.seen.assignmentStreams).toBeLessThan(8);
  });

  it('are asked for as a list of tasks where the manager knows no better', async () => {
    const { dispatcher, start, clock, executor } = world();
    dispatcher.fail.assignments = new SwarmError(Code.UNIMPLEMENTED, 'unknown method Assignments');
    await start().agent.ready;
    dispatcher.taskLists.push(create(TasksMessageSchema, { tasks: [newTask('a'), newTask('b')] }));
    await clock.settle();
    expect(executor.running()).toEqual(['a', 'b']);
    dispatcher.taskLists.push(create(TasksMessageSchema, { tasks: [newTask('b')] }));
    await clock.settle();
    expect(executor.running()).toEqual(['b']);
    expect(dispatcher.seen.sessions).toHaveLength(1);
  });

  it('bring secrets and configs before the tasks that use them', async () => {
    const { dispatcher, start, clock, executor } = world();
    const seen: (string | undefined)[] = [];
    executor.intercept = (made) => {
      const prepare = made.prepare.bind(made);
      const { dependencies } = made;
      made.prepare = (signal) => {
        for (const id of ['s1', 's2', 'driver']) {
          const data = dependencies.secret(id)?.spec?.data;
          seen.push(data === undefined ? undefined : new TextDecoder().decode(data));
        }
        const config = dependencies.config('c1');
        seen.push(
          new TextDecoder().decode(config?.spec?.data),
          String(config?.sensitive),
          dependencies.volume('v')?.id,
        );
        return prepare(signal);
      };
    };
    await start().agent.ready;
    await clock.settle();
    const bytes = (text: string) => new TextEncoder().encode(text);
    const container = {
      secrets: [
        { secretId: 's1', target: { case: 'file', value: { name: 'f' } } },
        { secretId: 'driver', target: { case: 'file', value: { name: 'd' } } },
      ],
      configs: [{ configId: 'c1' }],
    };
    dispatcher.send(
      change(taskItem(newTask('t', { spec: { runtime: { case: 'container', value: container } } }))),
      change({
        case: 'config',
        value: create(ConfigSchema, {
          id: 'c1',
          spec: { data: bytes('{{secret "f"}}!'), templating: { name: 'golang' } },
        }),
      }),
      change({ case: 'secret', value: create(SecretSchema, { id: 's1', spec: { data: bytes('one') } }) }),
      change({ case: 'secret', value: create(SecretSchema, { id: 's2', spec: { data: bytes('two') } }) }),
      change({ case: 'secret', value: create(SecretSchema, { id: 'driver', spec: { data: bytes('everybody') } }) }),
      change({ case: 'secret', value: create(SecretSchema, { id: 'driver.t', spec: { data: bytes('only t') } }) }),
      change({ case: 'volume', value: create(VolumeAssignmentSchema, { id: 'v' }) }),
    );
    await clock.settle();
    expect(seen).toEqual(['one', undefined, 'only t', 'one!', 'true', undefined]);
  });

  it('reject a task whose templates or payloads cannot be expanded, or that gets no controller', async () => {
    const { dispatcher, start, clock, executor } = world();
    executor.intercept = ({ task }) => {
      if (task.id === 'none') throw new SwarmError(Code.UNIMPLEMENTED, 'unsupported runtime');
    };
    await start().agent.ready;
    await clock.settle();
    const env = { spec: { runtime: { case: 'container', value: { env: ['A={{.Nope}}'] } } } };
    dispatcher.send(change(taskItem(newTask('none'))), change(taskItem(newTask('templated', env))));
    await clock.settle();
    expect(dispatcher.statuses.get('none')).toMatchObject({
      state: TaskState.REJECTED,
      message: 'resolving controller failed',
      err: 'unsupported runtime',
    });
    expect(dispatcher.statuses.get('templated')).toMatchObject({ state: TaskState.REJECTED });
    expect(dispatcher.statuses.get('templated')?.err).toContain("can't evaluate field Nope");
    dispatcher.send(
      change(taskItem(newTask('none', { desiredState: TaskState.SHUTDOWN }))),
      change(taskItem(newTask('templated')), true),
    );
    await clock.settle();
    expect(dispatcher.state('none')).toBe('REJECTED');
  });

  it('report volumes as free that are taken away', async () => {
    const { dispatcher, start, clock } = world();
    await start().agent.ready;
    await clock.settle();
    dispatcher.send(change({ case: 'volume', value: create(VolumeAssignmentSchema, { id: 'v' }) }));
    dispatcher.send(change({ case: 'volume', value: create(VolumeAssignmentSchema, { id: 'v' }) }, true));
    await clock.settle();
    expect(dispatcher.seen.unpublished).toEqual(['v']);
  });

  it('start a task again that is taken away and given back while its removal is under way', async () => {
    const { dispatcher, start, clock, executor } = world();
    dispatcher.complete = [taskItem(newTask('t'))];
    await start().agent.ready;
    await clock.settle();
    dispatcher.send(change(taskItem(newTask('t')), true));
    dispatcher.send(change(taskItem(newTask('t'))));
    await clock.settle();
    expect(executor.running()).toEqual(['t']);
  });
});
