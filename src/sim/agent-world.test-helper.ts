import { create } from '@bufbuild/protobuf';
import { afterEach } from 'vitest';

import { TaskSchema, TaskState } from '../api/index.js';
import type { SessionMessage, Task } from '../api/index.js';
import { Code, SILENT_LOGGER, SwarmError } from '../base/index.js';
import { Agent, MemoryAgentDatabase, type AgentOptions } from '../agent/index.js';
import { FakeDispatcher } from '../agent/fake-dispatcher.test-helper.js';
import { SeededRandom, SimClock, SimExecutor, type SimScript } from './index.js';

/** What a manager says that cannot serve. */
export const UNAVAILABLE = new SwarmError(Code.UNAVAILABLE, 'not now');
const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A task as managers assign it. */
export function newTask(id: string, fields: object = {}): Task {
  return create(TaskSchema, {
    id,
    serviceId: 'service',
    nodeId: 'node-1',
    slot: 1n,
    spec: { runtime: { case: 'container', value: { image: 'image' } } },
    status: { state: TaskState.ASSIGNED, appliedBy: 'manager' },
    desiredState: TaskState.RUNNING,
    ...fields,
  });
}

/** An agent's surroundings in virtual time; what is started is stopped after the test. */
export function world(
  options: AgentOptions & { readonly script?: (task: Task) => SimScript; readonly containerStatus?: boolean } = {},
) {
  const clock = new SimClock();
  const { script, containerStatus } = options;
  const executor = new SimExecutor(
    {
      hostname: 'sim',
      ...(script === undefined ? {} : { script }),
      ...(containerStatus === undefined ? {} : { containerStatus }),
    },
    { clock },
  );
  const database = new MemoryAgentDatabase();
  const dispatcher = new FakeDispatcher(() => clock.monotonicMs());
  const messages: SessionMessage[] = [];
  const start = (stored = database) => {
    const controller = new AbortController();
    const agent = new Agent(options, {
      connect: dispatcher.connect,
      executor,
      database: stored,
      clock,
      random: new SeededRandom(1),
      log: SILENT_LOGGER,
      onSessionMessage: (message) => messages.push(message),
    });
    const running = agent.run(controller.signal);
    running.catch(() => undefined);
    const stop = async (): Promise<void> => {
      controller.abort(new SwarmError(Code.CANCELED, 'the test is over'));
      await running.catch(() => undefined);
    };
    stops.push(stop);
    return { agent, running, stop };
  };
  return { clock, executor, database, dispatcher, messages, start };
}
