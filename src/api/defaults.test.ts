import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';

import { withServiceDefaults } from './defaults.js';
import { RestartPolicy_RestartCondition, ServiceSpecSchema, UpdateConfig_FailureAction } from './messages.js';
import { durationFromMs } from './time.js';

test('absent parts are filled in and the argument stays as it was', () => {
  const spec = create(ServiceSpecSchema, { task: { runtime: { case: 'container', value: { image: 'a' } } } });
  const filled = withServiceDefaults(spec);
  expect(filled.task?.restart).toMatchObject({
    condition: RestartPolicy_RestartCondition.ANY,
    delay: durationFromMs(5000),
  });
  expect(filled.update).toMatchObject({ parallelism: 1n, monitor: durationFromMs(5000) });
  expect(filled.rollback).toMatchObject({ failureAction: UpdateConfig_FailureAction.PAUSE });
  expect(filled.task?.runtime.value).toMatchObject({ stopGracePeriod: durationFromMs(10_000) });
  expect(spec.task?.restart).toBeUndefined();
});

test('given values stay, only the monitor and the restart delay are completed', () => {
  const spec = create(ServiceSpecSchema, {
    task: { restart: { condition: RestartPolicy_RestartCondition.NONE } },
    update: { parallelism: 0n },
  });
  const filled = withServiceDefaults(spec);
  expect(filled.task?.restart).toMatchObject({
    condition: RestartPolicy_RestartCondition.NONE,
    delay: durationFromMs(5000),
  });
  expect(filled.update).toMatchObject({ parallelism: 0n, monitor: durationFromMs(5000) });
});
