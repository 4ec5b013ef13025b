import { create, fromBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ClusterSnapshotSchema,
  ConfigSchema,
  NodeSchema,
  raftpb,
  ServiceSchema,
  SnapshotSchema,
  StoreSnapshotSchema,
  TaskSchema,
} from '../../api/index.js';
import { Code } from '../../base/index.js';
import { AesGcm } from '../../platform/index.js';
import { SeededRandom, SimDisk } from '../../sim/index.js';
import { deepFreeze } from '../../store/index.js';
import { AuthenticatedCipher } from './cipher.js';
import {
  encodeSlices,
  listSnapshots,
  readSnapshot,
  type SnapshotContents,
  type SnapshotDeps,
  writeSnapshot,
} from './snapshot-file.js';

const NEVER = new AbortController().signal;

let disk: SimDisk;

function deps(fill = 1): SnapshotDeps {
  const random = new SeededRandom(3);
  return {
    disk,
    random,
    cipher: new AuthenticatedCipher({ dek: new Uint8Array(32).fill(fill) }, { aead: new AesGcm(), random }),
  };
}

/** A service whose tasks share its spec, a large config, a node. */
function contents(tasks: number, index = 7): SnapshotContents {
  const service = deepFreeze(
    create(ServiceSchema, {
      id: 's',
      spec: { annotations: { name: 'web' }, task: { runtime: { case: 'container', value: { image: 'nginx' } } } },
    }),
  );
  const { task: spec } = service.spec ?? {};
  const make = (at: number) =>
    create(TaskSchema, { id: `t${at}`, serviceId: 's', slot: BigInt(at), ...(spec === undefined ? {} : { spec }) });
  return {
    metadata: create(raftpb.SnapshotMetadataSchema, {
      index: BigInt(index),
      term: 2n,
      confState: create(raftpb.ConfStateSchema, { voters: [5n] }),
    }),
    membership: create(ClusterSnapshotSchema, { members: [{ raftId: 5n, nodeId: 'n', addr: 'a:1' }], removed: [6n] }),
    store: create(StoreSnapshotSchema, {
      services: [service],
      tasks: Array.from({ length: tasks }, (_, at) => make(at)),
      configs: [create(ConfigSchema, { id: 'large', spec: { data: new Uint8Array(400_000).fill(9) } })],
      nodes: [create(NodeSchema, { id: 'n' })],
    }),
  };
}

beforeEach(async () => {
  disk = new SimDisk();
  await disk.makeDirectory('/snap', 0o700);
  await disk.syncDirectory('/');
});

describe('a snapshot file', () => {
  it('gives back what was written, after a crash', async () => {
    const written = contents(5_000);
    const { path } = await writeSnapshot('/snap', written, deps(), NEVER);
    expect(path).toBe('/snap/0000000000000002-0000000000000007.snap');
    disk = disk.crash();
    const read = await readSnapshot(path, deps(), NEVER);
    expect(read).toEqual(written);
  });

  it('holds, slice by slice, one message that any reader of the protocol understands', () => {
    const written = contents(3_000);
    const slices = [...encodeSlices(written)];
    expect(slices.length).toBeGreaterThan(3);
    const whole = fromBinary(SnapshotSchema, new Uint8Array(Buffer.concat(slices)));
    expect(whole.store?.tasks).toHaveLength(3_000);
    expect(whole.membership).toEqual(written.membership);
    expect(whole.store).toEqual(written.store);
  });

  it('keeps slices small, however much is stored', () => {
    const small = { ...contents(20_000).store, configs: [] };
    const sizes = [...encodeSlices({ membership: create(ClusterSnapshotSchema), store: small })].map(
      (slice) => slice.length,
    );
    expect(Math.max(...sizes)).toBeLessThan(70_000);
  });

  it('is encrypted', async () => {
    const { path } = await writeSnapshot('/snap', contents(1), deps(), NEVER);
    expect(Buffer.from(await disk.readFile(path)).includes('nginx')).toBe(false);
    await expect(readSnapshot(path, deps(2), NEVER)).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
  });

  it('is listed, newest first, and nothing else is', async () => {
    for (const index of [9, 300, 20]) await writeSnapshot('/snap', contents(0, index), deps(), NEVER);
    await disk.writeFileAtomic('/snap/notes.txt', new Uint8Array(1), 0o600);
    expect((await listSnapshots(disk, '/snap')).map((name) => name.index)).toEqual([300n, 20n, 9n]);
  });

  it('is refused when any byte is changed, or its end is missing', async () => {
    const { path } = await writeSnapshot(
      '/snap',
      { ...contents(3), store: create(StoreSnapshotSchema) },
      deps(),
      NEVER,
    );
    const whole = await disk.readFile(path);
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] = (changed[at] ?? 0) ^ 16;
      await disk.writeFileAtomic(path, changed, 0o600);
      const result = await readSnapshot(path, deps(), NEVER).catch((error: unknown) => error);
      // Only zeros between records may change without harm.
      if (whole[at] !== 0) expect(result).toMatchObject({ code: Code.DATA_LOSS });
      await disk.writeFileAtomic(path, whole.slice(0, at), 0o600);
      await expect(readSnapshot(path, deps(), NEVER)).rejects.toMatchObject({ code: Code.DATA_LOSS });
    }
  });

  it('leaves nothing behind when it could not be written', async () => {
    disk.failNext('sync', 'EIO');
    await expect(writeSnapshot('/snap', contents(1), deps(), NEVER)).rejects.toMatchObject({ code: Code.INTERNAL });
    expect(await disk.list('/snap')).toEqual([]);
  });

  it('stops being written, or read, when told to', async () => {
    const { path } = await writeSnapshot('/snap', contents(1), deps(), NEVER);
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(writeSnapshot('/snap', contents(1, 8), deps(), stopped)).rejects.toThrow('stopped');
    await expect(readSnapshot(path, deps(), stopped)).rejects.toThrow('stopped');
  });
});
