import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';

import {
  InternalRaftRequestSchema,
  SnapshotSchema,
  StoreActionKind,
  StoreActionSchema,
  TaskSchema,
  type StoreAction,
} from '../api/index.js';
import { StoreDecoder } from './decoder.js';
import { TABLE_NAMES } from './tables.js';
import { sampleObject } from './test-objects.js';

const unknownField = { no: 999, wireType: WireType.LengthDelimited, data: new Uint8Array([2, 7, 8]) };

function taskWithNetworks(id: string, address: string) {
  const network = sampleObject.network('net1', 'a');
  const { networks } = create(TaskSchema, { networks: [{ network, addresses: [address] }, {}] });
  return { ...sampleObject.task(id, 'a'), networks, $unknown: [unknownField] };
}

describe('the decoder', () => {
  it('reads entries as the plain decoder does', () => {
    const targets = TABLE_NAMES.map((table) => ({ case: table, value: sampleObject[table](`${table}-1`, 'a') }));
    const action = [
      ...targets.map((target) => ({
        ...create(StoreActionSchema),
        action: StoreActionKind.STORE_ACTION_CREATE,
        target,
      })),
      { ...create(StoreActionSchema), target: { case: 'task', value: taskWithNetworks('t', '10.0.0.1/24') } },
      { ...create(StoreActionSchema), target: { case: 'task', value: create(TaskSchema, { id: 'bare' }) } },
      create(StoreActionSchema),
    ] as StoreAction[];
    const bytes = toBinary(InternalRaftRequestSchema, { ...create(InternalRaftRequestSchema, { id: 7n }), action });
    expect(new StoreDecoder().request(bytes)).toEqual(fromBinary(InternalRaftRequestSchema, bytes));
    expect(new StoreDecoder().request(new Uint8Array())).toEqual(create(InternalRaftRequestSchema));
  });

  it('reads snapshots as the plain decoder does, and shares specs and networks', () => {
    const snapshot = create(SnapshotSchema, {
      membership: { members: [{ raftId: 3n, addr: 'x' }] },
      store: {
        nodes: [sampleObject.node('n', 'a')],
        tasks: [
          taskWithNetworks('t1', '10.0.0.1/24'),
          taskWithNetworks('t2', '10.0.0.2/24'),
          sampleObject.task('t3', 'b'),
        ],
      },
    });
    const bytes = toBinary(SnapshotSchema, snapshot);
    const decoded = new StoreDecoder().snapshot(bytes);
    expect(decoded).toEqual(fromBinary(SnapshotSchema, bytes));
    const [first, second, third] = decoded.store!.tasks;
    expect(second?.spec).toBe(first?.spec);
    expect(second?.networks[0]?.network).toBe(first?.networks[0]?.network);
    expect(third?.spec).not.toBe(first?.spec);
    expect(Object.isFrozen(first?.spec)).toBe(true);
    expect(first?.$unknown).toEqual([unknownField]);
    expect(new StoreDecoder().snapshot(new Uint8Array())).toEqual(create(SnapshotSchema));
  });

  it.each([
    ['a length beyond the end', [18, 200]],
    ['a broken tag', [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]],
  ])('refuses %s', (_what, bytes) => {
    expect(() => new StoreDecoder().request(new Uint8Array(bytes))).toThrow(Error);
  });
});
