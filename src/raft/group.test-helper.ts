import { SeededRandom } from '../sim/random.js';
import {
  asV2,
  confChangeOf,
  InvariantError,
  isConfChangeEntry,
  MemoryStorage,
  message,
  MessageType,
  RawNode,
  SILENT_RAFT_LOGGER,
  EMPTY_CONF_STATE,
  NO_BYTES,
  type Entry,
  type HardState,
  type Message,
  type RaftOptions,
  type ReadState,
} from './index.js';

/** Entries with these terms at the indexes from `first` on. */
export function entriesOfTerms(terms: readonly number[], first = 1): Entry[] {
  return terms.map((term, at) => ({ Term: BigInt(term), Index: BigInt(first + at), Type: 0, Data: NO_BYTES }));
}

/** The bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Stable storage of a member of a group with these voters, and what it remembers. */
export function storageOf(setup: {
  readonly voters: readonly bigint[];
  readonly learners?: readonly bigint[];
  readonly entries?: readonly Entry[];
  readonly hardState?: HardState;
}): MemoryStorage {
  const storage = new MemoryStorage();
  const confState = { ...EMPTY_CONF_STATE, voters: setup.voters, learners: setup.learners ?? [] };
  storage.applySnapshot({ data: NO_BYTES, metadata: { index: 0n, term: 0n, confState } });
  storage.append(setup.entries ?? []);
  if (setup.hardState !== undefined) storage.setHardState(setup.hardState);
  return storage;
}

/** A member whose Ready is handled at once. */
export class TestMember {
  readonly options: RaftOptions;
  readonly storage: MemoryStorage;
  readonly random: SeededRandom;
  readonly log: string[] = [];
  readonly applied: Entry[] = [];
  readonly readStates: ReadState[] = [];
  node: RawNode;

  constructor(id: bigint, storage: MemoryStorage, options: Partial<RaftOptions> = {}, seed = Number(id)) {
    this.options = { electionTicks: 10, heartbeatTicks: 1, ...options, id };
    this.storage = storage;
    this.random = new SeededRandom(seed);
    this.node = this.#start();
  }

  get id(): bigint {
    return this.options.id;
  }

  /** Forgets everything that is not stable. */
  restart(): void {
    this.applied.length = 0;
    this.node = this.#start();
  }

  #start(): RawNode {
    const logger = { ...SILENT_RAFT_LOGGER, warning: (text: string) => void this.log.push(text) };
    return new RawNode(this.options, { storage: this.storage, logger, random: this.random });
  }

  /** Does all there is to do; the messages to others. */
  work(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
      if (ready.snapshot !== undefined) this.storage.applySnapshot(ready.snapshot);
      this.storage.append(ready.entries);
      sent.push(...ready.messages);
      for (const entry of ready.committedEntries) this.#apply(entry);
      this.readStates.push(...ready.readStates);
      this.node.advance();
    }
    return sent;
  }

  #apply(entry: Entry): void {
    this.applied.push(entry);
    if (!isConfChangeEntry(entry)) return;
    const change = confChangeOf(entry);
    if (change === undefined) throw new InvariantError('damaged change');
    this.node.applyConfChange(asV2(change));
  }

  /** Takes a message; the messages to others that it makes the member send. */
  receive(type: MessageType, fields: Partial<Message>): Message[] {
    this.node.step(message(type, { to: this.id, ...fields }));
    return this.work();
  }

  /** Lets this many ticks pass; the messages to others. */
  tick(count: number): Message[] {
    for (let at = 0; at < count; at += 1) this.node.tick();
    return this.work();
  }

  /** Stands for election and is voted for by these; what it sends as the new leader. */
  lead(voters: readonly bigint[]): Message[] {
    this.node.campaign();
    this.work();
    const { term } = this.node.basicStatus();
    const sent = voters.flatMap((from) => this.receive(MessageType.MsgVoteResp, { from, term }));
    if (this.node.basicStatus().role !== 'leader') throw new Error('the member does not lead');
    return sent;
  }

  /** The stable log as index:term pairs. */
  terms(): string[] {
    const first = this.storage.firstIndex();
    const entries = this.storage.entries(first, this.storage.lastIndex() + 1n, Number.POSITIVE_INFINITY);
    return typeof entries === 'string' ? [] : entries.map(({ Index, Term }) => `${Index}:${Term}`);
  }
}

/** Members with messages between them. */
export class TestGroup {
  readonly members = new Map<bigint, TestMember>();
  /** Messages for which this holds are lost. */
  isLost: (sent: Message) => boolean = () => false;

  constructor(members: readonly TestMember[]) {
    for (const member of members) this.members.set(member.id, member);
  }

  member(id: bigint): TestMember {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`there is no member ${id}`);
    return member;
  }

  /** Delivers messages until there are none. */
  settle(): void {
    for (;;) {
      const sent = [...this.members.values()].flatMap((member) => member.work()).filter((one) => !this.isLost(one));
      if (sent.length === 0) return;
      for (const one of sent) this.members.get(one.to)?.node.step(one);
    }
  }

  /** Lets a member stand for election, and everything settle. */
  elect(id: bigint): TestMember {
    const member = this.member(id);
    member.node.campaign();
    this.settle();
    return member;
  }
}

/** A group of voters 1 to `count`. */
export function groupOf(count: number, options: Partial<RaftOptions> = {}): TestGroup {
  const voters = Array.from({ length: count }, (_none, at) => BigInt(at + 1));
  return new TestGroup(voters.map((id) => new TestMember(id, storageOf({ voters }), options)));
}
