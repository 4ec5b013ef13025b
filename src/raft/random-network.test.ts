import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../sim/random.js';
import { bytes, storageOf } from './group.test-helper.js';
import {
  asV2,
  confChangeOf,
  isConfChangeEntry,
  isLocalThread,
  MemoryStorage,
  MessageType,
  RawNode,
  SILENT_RAFT_LOGGER,
  type Entry,
  type HardState,
  type Message,
  type RaftOptions,
  type Snapshot,
} from './index.js';

const MEMBERS = [1n, 2n, 3n, 4n, 5n];
const STEPS = 2500;
const HEALING_ROUNDS = 400;

/** Sends the state of now: an older snapshot might not name a member that has joined since, which would ignore it. */
class CurrentStorage extends MemoryStorage {
  current: () => Snapshot | undefined = () => undefined;

  override snapshot(): Snapshot {
    return this.current() ?? super.snapshot();
  }
}

/** A member on a machine that may lose what its storage threads have not done yet. */
class Machine {
  readonly storage = new CurrentStorage();
  readonly id: bigint;
  readonly #options: RaftOptions;
  readonly #random: SeededRandom;
  node: RawNode;
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];
  /** What the state machine has been given since the last start, by index. */
  applied: Entry[] = [];

  constructor(id: bigint, options: Omit<RaftOptions, 'id'>, random: SeededRandom) {
    this.id = id;
    this.#options = { ...options, id };
    this.#random = random;
    this.storage.applySnapshot(storageOf({ voters: MEMBERS.slice(0, 3) }).snapshot());
    this.storage.current = () => this.#currentSnapshot();
    this.node = this.#start();
  }

  #start(): RawNode {
    const deps = { storage: this.storage, logger: SILENT_RAFT_LOGGER, random: this.#random };
    const applied = this.storage.firstIndex() - 1n;
    return new RawNode({ ...this.#options, applied }, deps);
  }

  restart(): void {
    this.appendWork.length = 0;
    this.applyWork.length = 0;
    this.applied = [];
    this.node = this.#start();
  }

  get isAsync(): boolean {
    return this.#options.asyncStorageWrites === true;
  }

  /** Handles one Ready; the messages that leave. */
  handleReady(): Message[] {
    if (!this.node.hasReady()) return [];
    const ready = this.node.ready();
    if (!this.isAsync) {
      this.#save(ready.hardState, ready.entries, ready.snapshot);
      this.#apply(ready.committedEntries);
      this.node.advance();
    }
    const local = ready.messages.filter(({ to }) => isLocalThread(to));
    this.appendWork.push(...local.filter(({ type }) => type === MessageType.MsgStorageAppend));
    this.applyWork.push(...local.filter(({ type }) => type === MessageType.MsgStorageApply));
    return ready.messages.filter(({ to }) => !isLocalThread(to));
  }

  /** Does one piece of a storage thread's work; the messages that leave. */
  workThread(queue: Message[]): Message[] {
    const work = queue.shift();
    if (work === undefined) return [];
    if (work.type === MessageType.MsgStorageAppend) this.#save(work, work.entries, work.snapshot);
    else this.#apply(work.entries);
    for (const own of work.responses.filter(({ to }) => to === this.id)) this.node.step(own);
    return work.responses.filter(({ to }) => to !== this.id);
  }

  #save(hardState: HardState | undefined, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
    if (hardState !== undefined && hardState.term !== 0n) {
      const { term, vote, commit } = hardState;
      this.storage.setHardState({ term, vote, commit });
    }
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot);
      this.applied = [];
    }
    this.storage.append(entries);
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.applied.push(entry);
      const change = isConfChangeEntry(entry) ? confChangeOf(entry) : undefined;
      if (change !== undefined) this.node.applyConfChange(asV2(change));
    }
  }

  /** Replaces the applied part of the log by a snapshot, once it is saved that this part is committed. */
  compact(): void {
    const snapshot = this.#currentSnapshot();
    const commit = this.storage.initialState().hardState?.commit ?? 0n;
    if (snapshot === undefined || snapshot.metadata.index > commit) return;
    const { index, confState } = snapshot.metadata;
    const made = this.storage.createSnapshot(index, confState, snapshot.data);
    if (typeof made !== 'string') this.storage.compact(index);
  }

  #currentSnapshot(): Snapshot | undefined {
    const last = this.applied.at(-1);
    if (last === undefined) return undefined;
    const { voters, learners, learnersNext, autoLeave } = this.node.status().configuration;
    const confState = {
      voters: [...voters.incoming],
      votersOutgoing: [...voters.outgoing],
      learners: [...learners],
      learnersNext: [...learnersNext],
      autoLeave,
    };
    return { data: bytes(''), metadata: { index: last.Index, term: last.Term, confState } };
  }
}

/** A world of machines and a network that loses, doubles, delays and reorders, all from one seed. */
class World {
  readonly random: SeededRandom;
  readonly machines: Machine[];
  #network: Message[] = [];
  #cut = new Set<bigint>();
  #isLossy = true;
  #proposals = 0;
  readonly #leaders = new Map<bigint, bigint>();
  readonly #committed = new Map<bigint, string>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const options = {
      electionTicks: 8,
      heartbeatTicks: 2,
      asyncStorageWrites: seed % 2 === 1,
      preVote: seed % 3 === 0,
      checkQuorum: seed % 5 < 2,
      messageBytesMax: seed % 4 === 0 ? 64 : Number.POSITIVE_INFINITY,
      inflightMessagesMax: 4,
      stepDownOnRemoval: true,
    };
    this.machines = MEMBERS.map((id) => new Machine(id, options, this.random.fork()));
  }

  #chance(probability: number): boolean {
    return this.random.float() < probability;
  }

  #any(): Machine {
    const machine = this.machines[Math.floor(this.random.float() * this.machines.length)];
    if (machine === undefined) throw new Error('no machine');
    return machine;
  }

  step(): void {
    const machine = this.#any();
    const choice = this.random.float();
    if (choice < 0.25) machine.node.tick();
    else if (choice < 0.6) this.#deliverOne();
    else if (choice < 0.8) this.#send(machine.handleReady());
    else if (choice < 0.86) this.#send(machine.workThread(machine.appendWork));
    else if (choice < 0.92) this.#send(machine.workThread(machine.applyWork));
    else if (choice < 0.97) this.#propose(machine);
    else if (choice < 0.98) machine.compact();
    else if (choice < 0.985) machine.restart();
    else if (choice < 0.99) this.#partition();
    else if (choice < 0.995) this.#changeMembers(machine);
    else machine.node.transferLeader(this.#any().id);
    this.check();
  }

  #send(sent: readonly Message[]): void {
    this.#network.push(...sent);
  }

  #deliverOne(): void {
    if (this.#network.length === 0) return;
    const at = this.#isLossy ? Math.floor(this.random.float() * Math.min(this.#network.length, 8)) : 0;
    const [sent] = this.#isLossy && this.#chance(0.05) ? this.#network.slice(at, at + 1) : this.#network.splice(at, 1);
    if (sent === undefined) return;
    const isCut = this.#cut.has(sent.from) !== this.#cut.has(sent.to);
    const target = this.machines.find(({ id }) => id === sent.to);
    const isLost = isCut || (this.#isLossy && this.#chance(0.1));
    if (sent.type === MessageType.MsgSnap) this.#reportSnapshot(sent, !isLost);
    if (!isLost) target?.node.step(sent);
  }

  #reportSnapshot({ from, to }: Message, arrived: boolean): void {
    this.machines.find(({ id }) => id === from)?.node.reportSnapshot(to, arrived ? 'finish' : 'failure');
  }

  #propose(machine: Machine): void {
    this.#proposals += 1;
    machine.node.propose(bytes(`proposal ${this.#proposals}`));
  }

  #partition(): void {
    this.#cut = new Set(this.#chance(0.4) ? [] : MEMBERS.filter(() => this.#chance(0.4)));
  }

  #changeMembers({ node }: Machine): void {
    const nodeId = MEMBERS[3 + Math.floor(this.random.float() * 2)] ?? 4n;
    const type = ([0, 1, 3] as const)[Math.floor(this.random.float() * 3)] ?? 0;
    const transition = ([0, 1] as const)[Math.floor(this.random.float() * 2)] ?? 0;
    node.proposeConfChange({ transition, changes: [{ type, nodeId }], context: bytes('') });
  }

  /** Figure 3 of the paper, as far as it can be seen from outside. */
  check(): void {
    for (const { id, node } of this.machines) {
      const { role, term } = node.basicStatus();
      if (role !== 'leader') continue;
      const other = this.#leaders.get(term) ?? id;
      if (other !== id) throw new Error(`election safety: ${other} and ${id} lead in term ${term}`);
      this.#leaders.set(term, id);
    }
    for (const { id, applied } of this.machines) {
      const last = applied.at(-1);
      if (last === undefined) continue;
      const name = nameOf(last);
      const other = this.#committed.get(last.Index) ?? name;
      if (other !== name) throw new Error(`state machine safety: ${id} applies ${name} where ${other} was applied`);
      for (let at = applied.length - 1; at >= 0; at -= 1) {
        const entry = applied[at];
        if (entry === undefined || this.#committed.has(entry.Index)) break;
        this.#committed.set(entry.Index, nameOf(entry));
      }
    }
  }

  /** Entries of the same index and term are the same, and so are all before them. */
  checkLogs(): void {
    const logs = this.machines.map(({ storage }) => {
      const entries = storage.entries(storage.firstIndex(), storage.lastIndex() + 1n, Number.POSITIVE_INFINITY);
      return new Map(typeof entries === 'string' ? [] : entries.map((entry) => [entry.Index, nameOf(entry)]));
    });
    for (const one of logs) for (const other of logs) checkMatching(one, other);
    for (const { applied } of this.machines) {
      for (const entry of applied) expect(nameOf(entry)).toBe(this.#committed.get(entry.Index));
    }
  }

  /** A working network: whether a new proposal is applied by every voter. */
  heal(): boolean {
    this.#cut.clear();
    this.#isLossy = false;
    for (let round = 0; round < HEALING_ROUNDS; round += 1) {
      for (const machine of this.machines) {
        machine.node.tick();
        this.#settleOne(machine);
      }
      while (this.#network.length > 0) this.#deliverOne();
      this.check();
      const leader = this.machines.find(({ node }) => node.basicStatus().role === 'leader');
      if (leader !== undefined && round % 20 === 0) this.#propose(leader);
      if (round > HEALING_ROUNDS / 2 && leader !== undefined && this.#agrees(leader)) return true;
    }
    return false;
  }

  #settleOne(machine: Machine): void {
    while (machine.node.hasReady() || machine.appendWork.length > 0 || machine.applyWork.length > 0) {
      this.#send(machine.handleReady());
      this.#send(machine.workThread(machine.appendWork));
      this.#send(machine.workThread(machine.applyWork));
    }
  }

  #agrees(leader: Machine): boolean {
    const { configuration, applied } = leader.node.status();
    const voters = this.machines.filter(({ id }) => configuration.voters.incoming.has(id));
    return applied > 3n && voters.every(({ node }) => node.basicStatus().applied === applied);
  }
}

function nameOf({ Term, Index, Type, Data }: Entry): string {
  return `${Index}/${Term}/${Type}/${Data.join()}`;
}

function checkMatching(one: ReadonlyMap<bigint, string>, other: ReadonlyMap<bigint, string>): void {
  let isShared = false;
  for (const [index, name] of [...one].reverse()) {
    const there = other.get(index);
    if (there === undefined) continue;
    const [, term] = name.split('/');
    isShared ||= term === there.split('/')[1];
    if (isShared && name !== there) throw new Error(`log matching: ${name} and ${there}`);
  }
}

describe('a network that loses, doubles and reorders messages, with partitions, restarts and changes of members', () => {
  it.each(Array.from({ length: 200 }, (_none, at) => at + 1))(
    'is safe and comes back once it is healed: seed %i',
    (seed) => {
      const world = new World(seed);
      for (let count = 0; count < STEPS; count += 1) world.step();
      world.checkLogs();
      expect(world.heal()).toBe(true);
      world.checkLogs();
    },
  );
});
