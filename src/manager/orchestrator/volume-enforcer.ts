import { create } from '@bufbuild/protobuf';

import {
  TaskState,
  taskState,
  TaskStatusSchema,
  VolumeSpec_VolumeAvailability,
  type Task,
  type Volume,
} from '../../api/index.js';
import type { Component, Pace } from '../../base/index.js';
import { by, type ObjectEvent, type ReadTransaction, type TableName } from '../../store/index.js';
import type { OrchestratorDeps } from './deps.js';
import { runLoop, type Part } from './loop.js';

/** Rejects the tasks of volumes that are being drained; their orchestrator then replaces them. */
export class VolumeEnforcer implements Component {
  constructor(private readonly deps: OrchestratorDeps) {}

  run(signal: AbortSignal): Promise<void> {
    return runLoop(new VolumePart(this.deps), this.deps, signal);
  }
}

class VolumePart implements Part {
  readonly tables: readonly TableName[] = ['volume'];
  readonly #draining = new Set<string>();

  constructor(private readonly deps: OrchestratorDeps) {}

  load(tx: ReadTransaction): void {
    for (const volume of tx.find('volume', by.all())) if (isDraining(volume)) this.#draining.add(volume.id);
  }

  observe(event: ObjectEvent): void {
    if (event.table !== 'volume') return;
    if (event.kind !== 'remove' && isDraining(event.object)) this.#draining.add(event.object.id);
  }

  async act(pace: Pace): Promise<undefined> {
    const draining = [...this.#draining];
    this.#draining.clear();
    if (draining.length === 0) return undefined;
    await this.deps.store.batch(async (batch) => {
      for (const volumeId of draining) {
        for (const task of batch.update((tx) => tx.find('task', by.volumeAttachment(volumeId)))) {
          batch.update((tx) => {
            const present = tx.get('task', task.id);
            if (present !== undefined && mayBeRejected(present)) tx.update('task', rejected(present));
          });
          if (pace.isDue()) await pace.rest();
        }
      }
    });
    return undefined;
  }
}

function isDraining(volume: Volume): boolean {
  return volume.spec?.availability === VolumeSpec_VolumeAvailability.DRAIN;
}

function mayBeRejected(task: Task): boolean {
  return task.desiredState <= TaskState.COMPLETE && taskState(task) < TaskState.COMPLETE;
}

// The timestamp stays, as SwarmKit leaves it.
function rejected(task: Task): Task {
  return {
    ...task,
    status: {
      ...(task.status ?? create(TaskStatusSchema)),
      state: TaskState.REJECTED,
      message: 'task rejected by volume enforcer',
      err: 'attached to volume which is being drained',
    },
  };
}
