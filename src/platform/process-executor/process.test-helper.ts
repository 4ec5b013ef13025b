import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { ControllerLogMessage, Dependencies } from '../../agent/exec/index.js';
import { LogSubscriptionOptionsSchema, TaskSchema, type ContainerSpecSchema, type Task } from '../../api/index.js';
import { SILENT_LOGGER } from '../../base/index.js';
import { SystemClock } from '../clock.js';
import { CryptoRandom } from '../random.js';
import type { ProcessController } from './controller.js';
import { ProcessExecutor } from './executor.js';

type Fields<T> = Exclude<T, { $typeName: string }>;
type TaskFields = Fields<MessageInitShape<typeof TaskSchema>>;
type ContainerFields = Fields<MessageInitShape<typeof ContainerSpecSchema>>;

/** Nothing was assigned to the task. */
export const NO_DEPENDENCIES: Dependencies = {
  secret: () => undefined,
  config: () => undefined,
  volume: () => undefined,
};

/** A signal that never aborts. */
export const NEVER = new AbortController().signal;

let taskCount = 0;

/** A task that runs this container. */
export function taskOf(container: ContainerFields, fields: TaskFields = {}): Task {
  taskCount++;
  return create(TaskSchema, {
    id: `task${process.pid}x${taskCount}`,
    serviceId: 'service1',
    nodeId: 'node1',
    slot: 1n,
    serviceAnnotations: { name: 'web' },
    ...fields,
    spec: { ...fields.spec, runtime: { case: 'container', value: container } } as Fields<TaskFields['spec'] & object>,
  });
}

/** A shell line as a task. */
export function shell(line: string, container: ContainerFields = {}, fields: TaskFields = {}): Task {
  return taskOf({ image: 'any', command: ['sh', '-c', line], ...container }, fields);
}

/** An executor in a directory of its own, which `dispose` removes with all its tasks. */
export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'swarmkit-process-'));
  executor = this.#make();

  async dispose(): Promise<void> {
    await this.executor.removeAll(NEVER);
    await this.executor.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Goes on with a new executor, as an agent does that was started anew. */
  async restart(): Promise<void> {
    await this.executor.close();
    this.executor = this.#make();
  }

  /** A controller of a task that was prepared and started. */
  async run(task: Task, dependencies = NO_DEPENDENCIES): Promise<ProcessController> {
    const controller = this.executor.controller(task, dependencies);
    await controller.prepare(NEVER);
    await controller.start(NEVER);
    return controller;
  }

  #make(): ProcessExecutor {
    return new ProcessExecutor(
      {
        stateDir: join(this.dir, 'state'),
        runtimeDir: join(this.dir, 'run'),
        hostname: 'host1',
        engineVersion: 'test',
      },
      { clock: new SystemClock(), random: new CryptoRandom(), log: SILENT_LOGGER },
    );
  }
}

/** The text of every line that a selection of the log gives. */
export async function linesOf(
  controller: ProcessController,
  options: Fields<MessageInitShape<typeof LogSubscriptionOptionsSchema>> = {},
  signal = NEVER,
): Promise<string[]> {
  const lines: string[] = [];
  for await (const message of controller.logs(create(LogSubscriptionOptionsSchema, options), signal))
    lines.push(textOf(message));
  return lines;
}

/** A line of a log as text. */
export function textOf({ data }: ControllerLogMessage): string {
  return Buffer.from(data).toString('utf8');
}
