import { becomeFollower } from './become.js';
import { asV2, confChangeEntry, type AnyConfChange } from './conf-change.js';
import { applyConfChange, restoreConfiguration } from './configure.js';
import { hex } from './describe/names.js';
import { assertInvariant } from './invariant-error.js';
import { checkOptions, type RaftOptions } from './options.js';
import { jointIds } from './quorum/joint.js';
import { RaftState, type RaftDeps } from './raft-state.js';
import { acceptReady, hasReady, readyOf, type Handed, type Ready } from './ready.js';
import type { Refusal } from './refusal.js';
import { basicStatusOf, statusOf, type BasicStatus, type Status } from './status.js';
import { step } from './step.js';
import { tick } from './tick.js';
import {
  isEmptyHardState,
  isLocalThread,
  isLocalType,
  isResponseType,
  message,
  MessageType,
  NONE,
  sortedIds,
  unplacedEntry,
  type ConfState,
  type HardState,
  type Message,
  type RaftId,
} from './types.js';
import { isWellFormed } from './well-formed.js';

/**
 * One member of a raft group, without I/O, clock or threads: the owner tells it of ticks, messages and
 * proposals, asks what there is to do ({@link RawNode.ready}), does it and says so ({@link RawNode.advance}).
 * A broken promise on either side is thrown as an InvariantError; the member must then be thrown away.
 */
export class RawNode {
  readonly #raft: RaftState;
  readonly #handed: Handed;
  #stepsOnAdvance: readonly Message[] = [];

  /** Goes on from what storage holds; SwarmError when an option makes no sense. */
  constructor(options: RaftOptions, deps: RaftDeps) {
    this.#raft = new RaftState(checkOptions(options), deps);
    const { hardState, confState } = deps.storage.initialState();
    this.#load(hardState, confState);
    this.#handed = { softState: this.#raft.softState, hardState: this.#raft.hardState };
  }

  #load(hardState: HardState | undefined, confState: ConfState): void {
    const raft = this.#raft;
    const { log, logger, options } = raft;
    restoreConfiguration(raft, confState);
    if (hardState !== undefined && !isEmptyHardState(hardState)) {
      const isInside = hardState.commit >= log.committed && hardState.commit <= log.lastIndex;
      assertInvariant(isInside, () => {
        return `${hex(raft.id)} state.commit ${hardState.commit} is out of range [${log.committed}, ${log.lastIndex}]`;
      });
      log.committed = hardState.commit;
      raft.term = hardState.term;
      raft.vote = hardState.vote;
    }
    if (options.applied > 0n) log.appliedTo(options.applied, 0);
    becomeFollower(raft, raft.term, NONE);
    const peers = sortedIds(jointIds(raft.tracker.configuration.voters)).map(hex).join(',');
    const end = log.lastEntryId;
    const state = `term: ${raft.term}, commit: ${log.committed}, applied: ${log.applied}`;
    const last = `lastindex: ${end.index}, lastterm: ${end.term}`;
    logger.info(`newRaft ${hex(raft.id)} [peers: [${peers}], ${state}, ${last}]`);
  }

  /** Time goes on; what a tick lasts is the owner's to say. */
  tick(): void {
    tick(this.#raft);
  }

  /** Stands for election now. */
  campaign(): void {
    step(this.#raft, message(MessageType.MsgHup, {}));
  }

  /** Takes a message from another member or from a local thread; the message is not changed and may be shared. */
  step(received: Message): Refusal | undefined {
    const { type, from } = received;
    if (!isLocalThread(from)) {
      if (isLocalType(type)) return 'localMessage';
      if (isResponseType(type) && !this.#raft.tracker.progress.has(from)) return 'peerNotFound';
    }
    return isWellFormed(received) ? step(this.#raft, received) : 'malformedMessage';
  }

  /** Proposes data, here or through the leader. That it was taken does not mean that it will be committed. */
  propose(data: Uint8Array): Refusal | undefined {
    return this.proposeAll([data]);
  }

  /** Proposes several at once, one entry each, in this order; all are taken or none. */
  proposeAll(data: readonly Uint8Array[]): Refusal | undefined {
    if (data.length === 0) return undefined;
    const entries = data.map((one) => unplacedEntry(one));
    return step(this.#raft, message(MessageType.MsgProp, { from: this.#raft.id, entries }));
  }

  /** Proposes a configuration change; it becomes an empty entry if it may not be made now. */
  proposeConfChange(change: AnyConfChange): Refusal | undefined {
    return step(this.#raft, message(MessageType.MsgProp, { entries: [confChangeEntry(change)] }));
  }

  /** Called for every committed configuration change that the application does not decide against. */
  applyConfChange(change: AnyConfChange): ConfState {
    return applyConfChange(this.#raft, asV2(change));
  }

  /** Whether {@link ready} would give anything. */
  hasReady(): boolean {
    return hasReady(this.#raft, this.#handed);
  }

  /** What there is to do; it is being done from now on. */
  ready(): Ready {
    const ready = readyOf(this.#raft, this.#handed);
    assertInvariant(this.#stepsOnAdvance.length === 0, () => 'two accepted Ready structs without call to Advance');
    this.#stepsOnAdvance = acceptReady(this.#raft, this.#handed, ready);
    return ready;
  }

  /** What the last {@link ready} gave has been done. Not used with async storage writes. */
  advance(): void {
    const isSync = !this.#raft.options.asyncStorageWrites;
    assertInvariant(isSync, () => 'Advance must not be called when using AsyncStorageWrites');
    const steps = this.#stepsOnAdvance;
    this.#stepsOnAdvance = [];
    for (const one of steps) step(this.#raft, one);
  }

  status(): Status {
    return statusOf(this.#raft);
  }

  basicStatus(): BasicStatus {
    return basicStatusOf(this.#raft);
  }

  /** Asks the leader to hand its office to this member. */
  transferLeader(transferee: RaftId): void {
    step(this.#raft, message(MessageType.MsgTransferLeader, { from: transferee }));
  }

  /** A follower no longer knows its leader, and so may grant votes at once. */
  forgetLeader(): void {
    step(this.#raft, message(MessageType.MsgForgetLeader, {}));
  }

  /** Asks for an index such that whoever has applied it sees everything acknowledged so far: see {@link Ready.readStates}. */
  readIndex(requestCtx: Uint8Array): void {
    step(this.#raft, message(MessageType.MsgReadIndex, { entries: [unplacedEntry(requestCtx)] }));
  }

  /** The last message to this member did not arrive. */
  reportUnreachable(id: RaftId): void {
    step(this.#raft, message(MessageType.MsgUnreachable, { from: id }));
  }

  /** A snapshot has arrived, or not; must be told for every MsgSnap. */
  reportSnapshot(id: RaftId, outcome: 'finish' | 'failure'): void {
    step(this.#raft, message(MessageType.MsgSnapStatus, { from: id, reject: outcome === 'failure' }));
  }

  /** Waits this many ticks for a leader, until the role changes the next time: for tests that must not depend on chance. */
  setRandomizedElectionTicks(ticks: number): void {
    this.#raft.randomizedElectionTicks = ticks;
  }
}
