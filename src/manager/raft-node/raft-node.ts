import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type RaftMember, RaftMemberSchema, raftpb, type StoreAction } from '../../api/index.js';
import {
  Code,
  type Component,
  type DiskLock,
  errorText,
  makeDurableDirectory,
  SwarmError,
  toSwarmError,
  WakeUp,
} from '../../base/index.js';
import { by, type ProposalOutcome, type Proposer, type ReplicatedStore, StoreDecoder } from '../../store/index.js';
import { type LogDeps, loadState, logOptions, stateDirectories } from './load-state.js';
import { afterConfChange, fromClusterSnapshot, type Membership, NO_MEMBERS } from './membership.js';
import { checkOptions, type RaftNodeOptions, type SnapshotPolicy } from './options.js';
import { encodeRequest, type Proposal, ProposalQueue } from './proposals.js';
import { DIRECTORY_MODE } from './segment-file.js';
import { SegmentLog } from './segment-log.js';
import { Slicer } from './slicer.js';
import { Snapshotter } from './snapshotter.js';
import { bootstrap, checkSoleMember, newMemberId, nextTerm } from './term-start.js';

/**
 * Quiet time after which the commit index is written by itself. It marks what stands before it as synced,
 * so that later damage to it is told from a write cut short.
 */
const QUIET_MS = 1_000;

/** Entries read at once when they are applied at start or handed out. */
const READ_ENTRIES = 32;

/** SwarmKit's words for a proposal after the end. */
const STOPPED_TEXT = 'raft: failed to process the request: node is stopped';

/** Work that must not be interrupted between two of its parts. */
const UNINTERRUPTED = new AbortController().signal;

/** The name under which every cluster stands in its own store. Source: SwarmKit. */
const CLUSTER_NAME = 'default';

/** Interfaces that a {@link RaftNode} uses. */
export interface RaftNodeDeps extends LogDeps {
  /** Filled from the snapshot and the log by {@link RaftNode.open}; its proposals come back here. */
  readonly store: ReplicatedStore;
}

/** Where a member stands. */
export interface RaftStatus {
  readonly memberId: bigint;
  /** The leader's member id. */
  readonly leaderId: bigint;
  readonly term: bigint;
  readonly committedIndex: bigint;
  readonly appliedIndex: bigint;
  readonly snapshotIndex: bigint;
  readonly members: readonly RaftMember[];
}

/** A transaction as the log has it. */
export interface LoggedChange {
  readonly index: bigint;
  readonly actions: readonly StoreAction[];
}

interface Opened {
  readonly kind: 'open';
  readonly log: SegmentLog;
  readonly self: RaftMember;
  readonly term: bigint;
  readonly snapshotter: Snapshotter;
}

type State = { readonly kind: 'new' | 'closed' } | Opened | { readonly kind: 'failed'; readonly error: SwarmError };

/**
 * One member of the Raft group behind its durable log: the way of transactions to the disk. It is the only
 * member, so what is durable here is committed. While one sync is under way, what is proposed waits and
 * goes with the next.
 *
 * Life: {@link open}, {@link run}; the latter closes when it ends.
 */
export class RaftNode implements Proposer, Component {
  readonly #queue = new ProposalQueue();
  readonly #wakeUp = new WakeUp();
  readonly #decoder = new StoreDecoder();
  readonly #defaults: SnapshotPolicy;
  #state: State = { kind: 'new' };
  #membership: Membership = NO_MEMBERS;
  #head = 0n;
  #committed = 0n;
  #applied = 0n;
  #quietSinceMs = 0;
  #nextRequestId = 0n;
  /** What is to be given back at the end. */
  #lock: DiskLock | undefined;
  #log: SegmentLog | undefined;

  constructor(
    readonly options: RaftNodeOptions,
    readonly deps: RaftNodeDeps,
  ) {
    this.#defaults = checkOptions(options);
  }

  /**
   * Locks the state directory, loads the newest snapshot and the log into the store, and begins a term.
   * Where there is no log, it bootstraps a new group.
   * @throws SwarmError FailedPrecondition when another process uses the directory, when its format is newer,
   *   when the key does not fit, or when it belongs to another node; DataLoss when it is damaged.
   */
  async open(signal: AbortSignal): Promise<void> {
    if (this.#state.kind !== 'new') throw new SwarmError(Code.FAILED_PRECONDITION, 'the log was opened before');
    const { disk } = this.deps;
    const { raft, wal, snapshots } = stateDirectories(this.options.stateDir);
    for (const path of [this.options.stateDir, raft]) await makeDurableDirectory(disk, path, DIRECTORY_MODE);
    this.#lock = await disk.lock(raft);
    try {
      for (const path of [wal, snapshots]) await makeDurableDirectory(disk, path, DIRECTORY_MODE);
      await this.#start(signal);
    } catch (error) {
      this.#state = { kind: 'closed' };
      await this.#release();
      throw error;
    }
  }

  /** @inheritdoc */
  headIndex(): bigint {
    return this.#head;
  }

  /** @inheritdoc */
  propose(actions: Uint8Array, outcome: ProposalOutcome): void {
    if (this.#state.kind !== 'open') {
      const cause = this.#state.kind === 'failed' ? { cause: this.#state.error } : {};
      throw new SwarmError(Code.FAILED_PRECONDITION, STOPPED_TEXT, cause);
    }
    const index = this.#head + 1n;
    this.#queue.push({ index, data: encodeRequest(this.#nextRequestId++, actions), outcome });
    this.#head = index;
    this.#wakeUp.notify();
  }

  /**
   * Takes proposals to the disk until the signal aborts, then closes. Rejects when the disk failed: the
   * process must then end, as nothing more can be made durable.
   */
  async run(signal: AbortSignal): Promise<void> {
    const opened = this.#opened();
    try {
      while (!signal.aborted && this.#failure() === undefined) await this.#step(opened, signal);
    } catch (error) {
      if (this.#failure() === undefined && !signal.aborted) this.#fail(toSwarmError(error));
    } finally {
      await opened.snapshotter.idle();
      await this.close();
    }
    const failure = this.#failure();
    if (failure !== undefined) throw failure;
  }

  /** Loses what waits, closes the files and unlocks the directory. Only for one whose `run` was never called. */
  async close(): Promise<void> {
    const state = this.#state;
    if (state.kind !== 'open') return this.#release();
    this.#state = { kind: 'closed' };
    this.#lose(this.#queue.takeAll(), new SwarmError(Code.UNAVAILABLE, STOPPED_TEXT));
    try {
      await this.#saveCommit(state);
    } catch (error) {
      this.deps.log.warn({ error: errorText(error) }, 'could not mark the end of the log');
    } finally {
      await this.#release();
    }
  }

  /**
   * The committed transactions after `index`, in order; undefined when the log no longer has all of them.
   * Rejects with OutOfRange when they are compacted while they are read.
   */
  changesSince(index: bigint): AsyncGenerator<LoggedChange, void, undefined> | undefined {
    const { log } = this.#opened();
    if (index + 1n < log.firstIndex) return undefined;
    return this.#readChanges(log, index + 1n, this.#committed);
  }

  /** Where this member stands. @throws SwarmError FailedPrecondition when not open. */
  status(): RaftStatus {
    const { self, term, snapshotter } = this.#opened();
    return {
      memberId: self.raftId,
      leaderId: self.raftId,
      term,
      committedIndex: this.#committed,
      appliedIndex: this.#applied,
      snapshotIndex: snapshotter.index,
      members: [...this.#membership.members.values()],
    };
  }

  async *#readChanges(log: SegmentLog, from: bigint, last: bigint): AsyncGenerator<LoggedChange, void, undefined> {
    for await (const entry of readEntries(log, from, last)) {
      if (entry.Type !== raftpb.EntryType.EntryNormal || entry.Data.length === 0) continue;
      yield { index: entry.Index, actions: this.#decode(entry) };
    }
  }

  #decode(entry: raftpb.Entry): readonly StoreAction[] {
    try {
      return this.#decoder.request(entry.Data).action;
    } catch (error) {
      const text = `entry ${entry.Index} of the log is undamaged but cannot be understood: was it written by a newer program?`;
      throw new SwarmError(Code.DATA_LOSS, text, { cause: error });
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { deps, options } = this;
    const loaded = await loadState(options, deps, signal);
    const log = loaded?.log ?? (await this.#createLog());
    this.#log = log;
    const self = this.#identify(log);
    const snapshotIndex = loaded?.snapshot?.name.index ?? 0n;
    const members = await this.#knownMembers(
      log,
      fromClusterSnapshot(loaded?.snapshot?.contents.membership),
      snapshotIndex,
    );
    const isNew = log.lastIndex === 0n;
    if (!isNew) checkSoleMember(members, self.raftId);
    const start = isNew ? bootstrap(self) : nextTerm(self, members, log.lastIndex, log.hardState);
    await log.append(start.entries, start.hardState);
    this.#head = log.lastIndex;
    this.#committed = log.lastIndex;
    if (loaded?.snapshot !== undefined) deps.store.restore(loaded.snapshot.contents.store, snapshotIndex);
    this.#membership = fromClusterSnapshot(loaded?.snapshot?.contents.membership);
    await this.#replay(log, snapshotIndex, signal);
    const directory = stateDirectories(options.stateDir).snapshots;
    const snapshotter = new Snapshotter({ directory, index: snapshotIndex }, { ...deps, segments: log });
    this.#nextRequestId = newMemberId(deps.random);
    this.#quietSinceMs = deps.clock.monotonicMs();
    const { term } = start.hardState;
    this.#state = { kind: 'open', log, self, term, snapshotter };
    const fields = { 'raft.term': term.toString(), 'raft.index': this.#head.toString(), cut_bytes: log.cutBytes };
    deps.log.info(fields, isNew ? 'new log' : 'log opened');
  }

  async #createLog(): Promise<SegmentLog> {
    const { nodeId, addr } = this.options;
    const self = create(RaftMemberSchema, { raftId: newMemberId(this.deps.random), nodeId, addr });
    return SegmentLog.create(logOptions(this.options), this.deps, toBinary(RaftMemberSchema, self));
  }

  /** This member, as the log names it, at the address that it has now. */
  #identify(log: SegmentLog): RaftMember {
    const { nodeId, addr, stateDir } = this.options;
    const owner = fromBinary(RaftMemberSchema, log.metadata);
    if (owner.nodeId === nodeId) return create(RaftMemberSchema, { raftId: owner.raftId, nodeId, addr });
    const text = `the log in ${stateDir} belongs to node ${owner.nodeId}, and this is ${nodeId}: use that node's state directory`;
    throw new SwarmError(Code.FAILED_PRECONDITION, text, { details: { nodeId, owner: owner.nodeId } });
  }

  /** The membership after everything in the log; all of it is committed where there is one member. */
  async #knownMembers(log: SegmentLog, before: Membership, snapshotIndex: bigint): Promise<Membership> {
    let membership = before;
    for (let index = snapshotIndex + 1n; index <= log.lastIndex; index++) {
      if (log.type(index) !== raftpb.EntryType.EntryConfChange) continue;
      for (const entry of await log.read(index, index + 1n)) membership = afterConfChange(membership, entry.Data);
    }
    return membership;
  }

  async #replay(log: SegmentLog, snapshotIndex: bigint, signal: AbortSignal): Promise<void> {
    const slicer = new Slicer(this.deps.clock);
    this.#applied = snapshotIndex;
    for await (const entry of readEntries(log, snapshotIndex + 1n, this.#committed)) {
      if (entry.Type === raftpb.EntryType.EntryConfChange) {
        this.#membership = afterConfChange(this.#membership, entry.Data);
      } else if (entry.Data.length > 0) {
        this.deps.store.applyActions(this.#decode(entry), entry.Index);
      }
      this.#applied = entry.Index;
      if (slicer.due) await slicer.yield(signal);
    }
  }

  async #step(opened: Opened, signal: AbortSignal): Promise<void> {
    const { clock, store } = this.deps;
    const policy = this.#policy();
    if (opened.snapshotter.isDue(this.#applied, policy)) {
      const term = opened.log.term(this.#applied) ?? opened.term;
      const applied = { index: this.#applied, term, membership: this.#membership, store: store.save() };
      opened.snapshotter.start(applied, policy, signal);
    }
    if (this.#queue.length > 0) return this.#flush(opened, signal);
    const quietMs = clock.monotonicMs() - this.#quietSinceMs;
    const isSaved = opened.log.hardState.commit === this.#committed;
    if (!isSaved && quietMs >= QUIET_MS) return this.#saveCommit(opened);
    const wakeAtMs = isSaved ? undefined : clock.nowMs() + QUIET_MS - quietMs;
    await this.#wakeUp.waitUntil(clock, wakeAtMs, signal);
  }

  async #flush(opened: Opened, signal: AbortSignal): Promise<void> {
    const slicer = new Slicer(this.deps.clock);
    // Whoever has something ready now, say because the last write woke it, joins this write.
    await slicer.yield(signal);
    const batch = this.#queue.takeBatch();
    try {
      await opened.log.append(
        batch.map(({ index, data }) => normalEntry(opened.term, index, data)),
        this.#hardState(opened),
      );
    } catch (error) {
      this.#fail(toSwarmError(error), batch);
      return;
    }
    this.#committed = batch.at(-1)?.index ?? this.#committed;
    for (const [position, { index, outcome }] of batch.entries()) {
      try {
        outcome.committed(index);
      } catch (error) {
        this.#fail(toSwarmError(error), batch.slice(position + 1));
        return;
      }
      this.#applied = index;
      if (slicer.due) await slicer.yield(UNINTERRUPTED);
    }
    this.#quietSinceMs = this.deps.clock.monotonicMs();
  }

  async #saveCommit(opened: Opened): Promise<void> {
    if (opened.log.hardState.commit !== this.#committed) await opened.log.append([], this.#hardState(opened));
  }

  #hardState({ term, self }: Opened): raftpb.HardState {
    return create(raftpb.HardStateSchema, { term, vote: self.raftId, commit: this.#committed });
  }

  /** What the cluster object says, as SwarmKit does; the options before there is one. */
  #policy(): SnapshotPolicy {
    const clusters = this.deps.store.view((tx) => tx.find('cluster', by.name(CLUSTER_NAME)));
    const raft = clusters[0]?.spec?.raft;
    if (raft === undefined) return this.#defaults;
    return {
      intervalEntries: raft.snapshotInterval,
      keptEntries: raft.logEntriesForSlowFollowers,
      keptSnapshots: raft.keepOldSnapshots,
    };
  }

  #opened(): Opened {
    if (this.#state.kind === 'open') return this.#state;
    throw new SwarmError(Code.FAILED_PRECONDITION, 'the log is not open');
  }

  #failure(): SwarmError | undefined {
    return this.#state.kind === 'failed' ? this.#state.error : undefined;
  }

  #fail(error: SwarmError, inFlight: readonly Proposal[] = []): void {
    this.#state = { kind: 'failed', error };
    this.deps.log.error({ error: error.message }, 'the log failed');
    this.#lose([...inFlight, ...this.#queue.takeAll()], error);
  }

  #lose(proposals: readonly Proposal[], error: SwarmError): void {
    for (const { outcome } of proposals) outcome.lost(error);
  }

  async #release(): Promise<void> {
    const [log, lock] = [this.#log, this.#lock];
    this.#log = undefined;
    this.#lock = undefined;
    await log?.close();
    await lock?.release();
  }
}

function normalEntry(term: bigint, index: bigint, data: Uint8Array): raftpb.Entry {
  return create(raftpb.EntrySchema, { Type: raftpb.EntryType.EntryNormal, Term: term, Index: index, Data: data });
}

async function* readEntries(
  log: SegmentLog,
  from: bigint,
  last: bigint,
): AsyncGenerator<raftpb.Entry, void, undefined> {
  for (let at = from; at <= last; at += BigInt(READ_ENTRIES)) {
    const to = at + BigInt(READ_ENTRIES);
    yield* await log.read(at, to > last ? last + 1n : to);
  }
}
