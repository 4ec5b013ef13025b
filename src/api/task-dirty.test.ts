import { create, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { NodeSchema, ServiceSchema, TaskSchema, TaskState, type TaskSpecSchema } from './messages.js';
import { DirtyCheck } from './task-dirty.js';

type Init<S extends DescMessage> = Exclude<MessageInitShape<S>, MessageShape<S>>;
type SpecInit = Init<typeof TaskSpecSchema>;

const spec = (image = 'a', registryAuth?: string): SpecInit => ({
  runtime: {
    case: 'container',
    value: { image, ...(registryAuth === undefined ? {} : { pullOptions: { registryAuth } }) },
  },
});
const service = (task: SpecInit, fields: Init<typeof ServiceSchema> = {}) =>
  create(ServiceSchema, { spec: { task }, specVersion: { index: 2n }, ...fields });
const task = (taskSpec: SpecInit, fields: Init<typeof TaskSchema> = {}) =>
  create(TaskSchema, {
    spec: taskSpec,
    specVersion: { index: 1n },
    desiredState: TaskState.RUNNING,
    status: { state: TaskState.RUNNING },
    ...fields,
  });
const node = create(NodeSchema, { id: 'n1' });

describe('a task', () => {
  it('is up to date at the same version, without looking further', () => {
    expect(new DirtyCheck().isDirty(service(spec('b')), task(spec('a'), { specVersion: { index: 2n } }), node)).toBe(
      false,
    );
  });

  it('is up to date with an equal spec of another version', () => {
    expect(new DirtyCheck().isDirty(service(spec()), task(spec()), node)).toBe(false);
    expect(new DirtyCheck().isDirty(service(spec()), task(spec('b')), node)).toBe(true);
    expect(new DirtyCheck().isDirty(service(spec()), create(TaskSchema), node)).toBe(true);
  });

  it('is dirty when a field of a newer version differs', () => {
    const newer = service(spec());
    const unknown = { no: 99, wireType: 0, data: Uint8Array.of(1) };
    const wanted = { ...newer, spec: { ...newer.spec!, task: { ...newer.spec!.task!, $unknown: [unknown] } } };
    expect(new DirtyCheck().isDirty(wanted, task(spec()), node)).toBe(true);
  });

  it('is up to date while its node satisfies changed constraints', () => {
    const constrained = (constraint: string) => service({ ...spec(), placement: { constraints: [constraint] } });
    expect(new DirtyCheck().isDirty(constrained('node.id==n1'), task(spec()), node)).toBe(false);
    expect(new DirtyCheck().isDirty(constrained('node.id!=n1'), task(spec()), node)).toBe(true);
    expect(new DirtyCheck().isDirty(constrained('node.id==n1'), task(spec()), undefined)).toBe(true);
    const more = service({ ...spec('b'), placement: { constraints: ['node.id==n1'] } });
    expect(new DirtyCheck().isDirty(more, task(spec()), node)).toBe(true);
  });

  it.each([
    [TaskState.RUNNING, TaskState.RUNNING, false],
    [TaskState.RUNNING, TaskState.READY, false],
    [TaskState.READY, TaskState.READY, false],
    [TaskState.RUNNING, TaskState.PREPARING, true],
    [TaskState.RUNNING, TaskState.FAILED, true],
    [TaskState.SHUTDOWN, TaskState.RUNNING, true],
  ])('to be in state %s and in state %s makes other pull options count: %s', (desiredState, state, dirty) => {
    for (const [wanted, present] of [
      ['new', 'old'],
      [undefined, 'old'],
      ['new', undefined],
    ] as const) {
      const one = task(spec('a', present), { desiredState, status: { state } });
      expect(new DirtyCheck().isDirty(service(spec('a', wanted)), one, node)).toBe(dirty);
      expect(new DirtyCheck().isDirty(service(spec('b', wanted)), one, node)).toBe(true);
    }
  });

  it('is dirty when the ports asked for changed after it got its endpoint', () => {
    const ports = (publishedPort: number) => ({ ports: [{ publishedPort }] });
    const wanting = service(spec(), { spec: { task: spec(), endpoint: ports(80) } });
    expect(new DirtyCheck().isDirty(wanting, task(spec(), { endpoint: { spec: ports(80) } }), node)).toBe(false);
    expect(new DirtyCheck().isDirty(wanting, task(spec(), { endpoint: { spec: ports(81) } }), node)).toBe(true);
    expect(new DirtyCheck().isDirty(wanting, task(spec(), { endpoint: {} }), node)).toBe(true);
    expect(new DirtyCheck().isDirty(wanting, task(spec()), node)).toBe(false);
  });
});
