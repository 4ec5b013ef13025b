import { create } from '@bufbuild/protobuf';

import {
  AssignmentChangeSchema,
  AssignmentChange_AssignmentAction as Action,
  AssignmentSchema,
  ConfigSchema,
  SecretSchema,
  TaskSchema,
  VolumeAssignmentSchema,
  type Assignment,
  type AssignmentChange,
  type Config,
  type Secret,
  type Task,
  type Volume,
  type VolumePublishStatus,
} from '../../api/index.js';
import type { Dependency } from './dependencies.js';

/** The node is to have this task. The stored object itself goes into the message. */
export function updateTask(task: Task): AssignmentChange {
  return change({ case: 'task', value: task }, Action.UPDATE);
}

/** The node is to forget this task. */
export function removeTask(taskId: string): AssignmentChange {
  return change({ case: 'task', value: create(TaskSchema, { id: taskId }) }, Action.REMOVE);
}

/** The node is to have this secret or config. */
export function updateDependency(dependency: Dependency, found: Secret | Config): AssignmentChange {
  const item: Assignment['item'] =
    dependency.kind === 'secret'
      ? { case: 'secret', value: found as Secret }
      : { case: 'config', value: found as Config };
  return change(item, Action.UPDATE);
}

/** The node is to forget this secret or config. */
export function removeDependency({ kind, id }: Dependency): AssignmentChange {
  const item: Assignment['item'] =
    kind === 'secret'
      ? { case: 'secret', value: create(SecretSchema, { id }) }
      : { case: 'config', value: create(ConfigSchema, { id }) };
  return change(item, Action.REMOVE);
}

/** The node is to have this volume ready for tasks. */
export function updateVolume(volume: Volume, status: VolumePublishStatus): AssignmentChange {
  return change(volumeItem(volume, status), Action.UPDATE);
}

/** The node is to unpublish this volume. What it needs for that is repeated: it may have been restarted. */
export function removeVolume(
  volumeId: string,
  volume: Volume | undefined,
  status: VolumePublishStatus | undefined,
): AssignmentChange {
  const item: Assignment['item'] =
    volume === undefined
      ? { case: 'volume', value: create(VolumeAssignmentSchema, { id: volumeId }) }
      : volumeItem(volume, status);
  return change(item, Action.REMOVE);
}

function volumeItem(volume: Volume, status: VolumePublishStatus | undefined): Assignment['item'] {
  const assignment = create(VolumeAssignmentSchema, {
    id: volume.id,
    volumeId: volume.volumeInfo?.volumeId ?? '',
    volumeContext: volume.volumeInfo?.volumeContext ?? {},
    publishContext: status?.publishContext ?? {},
    secrets: volume.spec?.secrets ?? [],
  });
  if (volume.spec?.driver !== undefined) assignment.driver = volume.spec.driver;
  if (volume.spec?.accessMode !== undefined) assignment.accessMode = volume.spec.accessMode;
  return { case: 'volume', value: assignment };
}

function change(item: Assignment['item'], action: Action): AssignmentChange {
  return create(AssignmentChangeSchema, { assignment: create(AssignmentSchema, { item }), action });
}
