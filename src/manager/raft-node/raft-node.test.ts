import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ConfigSchema,
  InternalRaftRequestSchema,
  RaftMemberSchema,
  raftpb,
  type StoreAction,
} from '../../api/index.js';
import { Code, type Logger, SILENT_LOGGER, type SwarmError } from '../../base/index.js';
import { SeededRandom, SimClock, SimDisk } from '../../sim/index.js';
import { TRANSACTION_BYTES_MAX } from '../../store/index.js';
import { PlainCipher } from './cipher.js';
import { creation, entry, FakeStore, hardState, proposeCreation } from './fakes.test-helper.js';
import type { RaftNodeOptions } from './options.js';
import { ids, NEVER, OPTIONS, proposeAll, proposeEach, type Running, startMember } from './member.test-helper.js';
import { RaftNode } from './raft-node.js';
import { SegmentLog } from './segment-log.js';

let disk: SimDisk;
let clock: SimClock;
let seed: number;

function start(options: Partial<RaftNodeOptions> = {}, log: Logger = SILENT_LOGGER): Promise<Running> {
  return startMember({ disk, clock, random: new SeededRandom(++seed), log }, options);
}

async function rawLog(): Promise<SegmentLog> {
  const log = await SegmentLog.open(
    { directory: '/state/raft/wal' },
    { disk, random: new SeededRandom(0), cipher: new PlainCipher() },
  );
  if (log === undefined) throw new Error('there is no log');
  return log;
}

beforeEach(async () => {
  disk = new SimDisk();
  clock = new SimClock();
  seed = 0;
});

describe('a new RaftNode', () => {
  it('begins with the entries with which a stock manager begins', async () => {
    const { node, stop } = await start();
    expect(node.headIndex()).toBe(2n);
    const { memberId, members, ...status } = node.status();
    expect(status).toEqual({ leaderId: memberId, term: 2n, committedIndex: 2n, appliedIndex: 2n, snapshotIndex: 0n });
    expect(memberId).toBeGreaterThan(0n);
    expect(memberId).toBeLessThanOrEqual(2n ** 63n);
    const self = create(RaftMemberSchema, { raftId: memberId, nodeId: 'node-1', addr: '10.0.0.1:2377' });
    expect(members).toEqual([self]);
    await stop();
    const log = await rawLog();
    const [added, empty] = await log.read(1n, 3n);
    expect(added).toMatchObject({ Type: raftpb.EntryType.EntryConfChange, Term: 1n, Index: 1n });
    const change = fromBinary(raftpb.ConfChangeSchema, added?.Data ?? new Uint8Array());
    expect(change).toMatchObject({ type: raftpb.ConfChangeType.ConfChangeAddNode, nodeId: memberId });
    expect(fromBinary(RaftMemberSchema, change.context)).toEqual(self);
    expect(empty).toMatchObject({ Type: raftpb.EntryType.EntryNormal, Term: 2n, Index: 2n, Data: new Uint8Array() });
    expect(log.hardState).toMatchObject({ term: 2n, vote: memberId, commit: 2n });
  });

  it('gives proposals consecutive indexes and commits them in order', async () => {
    const running = await start();
    const order: bigint[] = [];
    const proposed = ids(1, 50).map((id) =>
      proposeCreation(running.node, running.store, id).then((index) => order.push(index)),
    );
    expect(running.node.headIndex()).toBe(52n);
    expect(running.store.ids).toEqual([]);
    await Promise.all(proposed);
    expect(order).toEqual(Array.from({ length: 50 }, (_, at) => BigInt(at + 3)));
    expect(running.store.ids).toEqual(ids(1, 50));
    await running.stop();
  });

  it('writes what arrives during a sync with the next one', async () => {
    const running = await start();
    let syncs = 0;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const reached = new Promise<void>((resolve) => {
      disk.intercept = ({ kind }) => {
        if (kind !== 'sync') return undefined;
        resolve();
        return ++syncs === 1 ? held : undefined;
      };
    });
    const first = proposeCreation(running.node, running.store, 'first');
    await reached;
    const rest = proposeAll(running, ids(1, 100));
    await clock.settle();
    expect(syncs).toBe(1);
    expect(running.store.ids).toEqual([]);
    release();
    expect(await first).toBe(3n);
    expect((await rest).at(-1)).toBe(103n);
    expect(syncs).toBe(2);
    await running.stop();
  });

  it('bounds what one write holds', async () => {
    const running = await start();
    const writes: number[] = [];
    disk.intercept = ({ kind }) => void (kind === 'sync' && writes.push(1));
    await proposeAll(running, ids(1, 3000));
    expect(writes).toHaveLength(3);
    await running.stop();
  });

  it('refuses what is too large, and takes what just fits', async () => {
    const { node, stop } = await start();
    const outcome = { committed: () => undefined, lost: () => undefined };
    const refused = expect.objectContaining({
      code: Code.INVALID_ARGUMENT,
      message: "raft: raft message is too large and can't be sent",
    });
    expect(() => node.propose(new Uint8Array(TRANSACTION_BYTES_MAX), outcome)).toThrow(refused);
    expect(node.headIndex()).toBe(2n);
    const data = new Uint8Array(TRANSACTION_BYTES_MAX - 100);
    const value = create(ConfigSchema, { id: 'large', spec: { data } });
    const actions = toBinary(
      InternalRaftRequestSchema,
      create(InternalRaftRequestSchema, { action: [{ target: { case: 'config', value } }] }),
    );
    await new Promise<void>((resolve, reject) => {
      node.propose(actions, { committed: () => resolve(), lost: reject });
    });
    await stop();
  });

  it('refuses more than may wait', async () => {
    const store = new FakeStore();
    const node = new RaftNode(OPTIONS, {
      disk,
      clock,
      random: new SeededRandom(1),
      log: SILENT_LOGGER,
      cipher: new PlainCipher(),
      store,
    });
    await node.open(NEVER);
    const lost: SwarmError[] = [];
    const actions = creation('x');
    const outcome = { committed: () => expect.fail(), lost: (error: SwarmError) => void lost.push(error) };
    const fill = (): void => {
      for (let count = 0; count <= 65_536; count++) node.propose(actions, outcome);
    };
    expect(fill).toThrow(expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED }));
    await node.close();
    expect(lost).toHaveLength(65_536);
    expect(lost[0]).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'raft: failed to process the request: node is stopped',
    });
  });

  it('checks its options', () => {
    const make = (options: Partial<RaftNodeOptions>) => () =>
      new RaftNode(
        { ...OPTIONS, ...options },
        {
          disk,
          clock,
          random: new SeededRandom(1),
          log: SILENT_LOGGER,
          cipher: new PlainCipher(),
          store: new FakeStore(),
        },
      );
    expect(make({ stateDir: 'relative' })).toThrow('stateDir: must be an absolute path');
    expect(make({ nodeId: '' })).toThrow('nodeId: must be not empty');
    expect(make({ snapshotIntervalEntries: -1 })).toThrow('snapshotIntervalEntries: must be a whole number');
    expect(make({ keptEntries: 1.5 })).toThrow('keptEntries');
  });
});

describe('a RaftNode that starts again', () => {
  it('has everything, the same id, and a new term with an empty entry', async () => {
    const first = await start();
    const { memberId } = first.node.status();
    await proposeAll(first, ids(1, 5));
    await first.stop();
    const second = await start();
    expect(second.store.ids).toEqual(ids(1, 5));
    expect(second.store.version).toBe(7n);
    expect(second.node.headIndex()).toBe(8n);
    expect(second.node.status()).toMatchObject({ memberId, term: 3n, committedIndex: 8n, appliedIndex: 8n });
    expect(await proposeCreation(second.node, second.store, 'c6')).toBe(9n);
    await second.stop();
    expect((await start()).store.ids).toEqual(ids(1, 6));
  });

  it('records its new address', async () => {
    await (await start()).stop();
    const moved = await start({ addr: '10.0.0.2:2377' });
    expect(moved.node.headIndex()).toBe(4n);
    expect(moved.node.status().members).toMatchObject([{ addr: '10.0.0.2:2377' }]);
    await moved.stop();
    const same = await start({ addr: '10.0.0.2:2377' });
    expect(same.node.headIndex()).toBe(5n);
    expect(same.node.status().members).toMatchObject([{ addr: '10.0.0.2:2377' }]);
  });

  it('refuses a directory that another process uses, and says what to do', async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringMatching(/\/state\/raft is in use by another process.*stop it/),
    });
    await first.stop();
    await (await start()).stop();
  });

  it("refuses another node's log and frees the directory again", async () => {
    await (await start()).stop();
    await expect(start({ nodeId: 'node-2' })).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('belongs to node node-1'),
    });
    await (await start()).stop();
  });

  it('refuses to lead alone where it is not the only manager', async () => {
    await (await start()).stop();
    const log = await rawLog();
    const other = create(RaftMemberSchema, { raftId: 9n, nodeId: 'other', addr: 'a:1' });
    const change = {
      type: raftpb.ConfChangeType.ConfChangeAddNode,
      nodeId: 9n,
      context: toBinary(RaftMemberSchema, other),
    };
    const data = toBinary(raftpb.ConfChangeSchema, create(raftpb.ConfChangeSchema, change));
    const added = { ...entry(3, 2, ''), Type: raftpb.EntryType.EntryConfChange, Data: data };
    await log.append([added]);
    await log.close();
    await expect(start()).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringContaining('2 managers'),
    });
    const removal = { type: raftpb.ConfChangeType.ConfChangeRemoveNode, nodeId: 9n };
    const again = await rawLog();
    const removed = {
      ...added,
      Index: 4n,
      Data: toBinary(raftpb.ConfChangeSchema, create(raftpb.ConfChangeSchema, removal)),
    };
    await again.append([removed]);
    await again.close();
    expect((await start()).node.status().members).toHaveLength(1);
  });

  it('refuses a log of which committed entries are missing', async () => {
    await (await start()).stop();
    const log = await rawLog();
    await log.append([], hardState(2, 99));
    await log.close();
    await expect(start()).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: expect.stringContaining('entries 3 to 99'),
    });
  });

  it('refuses an entry that it cannot read', async () => {
    await (await start()).stop();
    const log = await rawLog();
    await log.append([entry(3, 2, 'no protobuf')]);
    await log.close();
    await expect(start()).rejects.toMatchObject({ code: Code.DATA_LOSS, message: expect.stringContaining('entry 3') });
  });

  it('cannot be opened twice, or used before it is open', async () => {
    const { node, stop } = await start();
    await expect(node.open(NEVER)).rejects.toMatchObject({ code: Code.FAILED_PRECONDITION });
    await stop();
    expect(() => node.status()).toThrow('not open');
    const refused = expect.objectContaining({ code: Code.FAILED_PRECONDITION });
    expect(() => node.propose(creation('x'), { committed: () => undefined, lost: () => undefined })).toThrow(refused);
  });
});

describe('changes since an index', () => {
  async function changes(node: RaftNode, index: bigint): Promise<readonly (readonly [bigint, string])[] | undefined> {
    const found = node.changesSince(index);
    if (found === undefined) return undefined;
    const all: [bigint, string][] = [];
    for await (const { index: at, actions } of found) all.push([at, actions.map(idOf).join()]);
    return all;
  }

  const idOf = ({ target }: StoreAction): string => (target.case === 'config' ? target.value.id : '');

  it('are read from the log, transactions only', async () => {
    const running = await start();
    await proposeAll(running, ids(1, 70));
    expect(await changes(running.node, 0n)).toHaveLength(70);
    expect(await changes(running.node, 70n)).toEqual([
      [71n, 'c69'],
      [72n, 'c70'],
    ]);
    expect(await changes(running.node, 72n)).toEqual([]);
    expect(await changes(running.node, 1000n)).toEqual([]);
    await running.stop();
  });

  it('are undefined once the log no longer has them', async () => {
    const running = await start({ snapshotIntervalEntries: 20, keptEntries: 5, segmentBytesMax: 400 });
    await proposeEach(running, ids(1, 50));
    await clock.settle();
    expect(await changes(running.node, 2n)).toBeUndefined();
    expect(await changes(running.node, 50n)).toEqual([
      [51n, 'c49'],
      [52n, 'c50'],
    ]);
    await running.stop();
  });
});
