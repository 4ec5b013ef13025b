import { MemoryStorage, RawNode, SILENT_RAFT_LOGGER, type Message, type Ready } from '../src/raft/index.js';
import { CryptoRandom } from '../src/platform/index.js';
import type { Row } from './row.js';

const RUN_MS = 1000;
/** Proposals that are handed to the leader between two rounds of messages. */
const BATCHES: readonly number[] = [1, 64];
const DATA_BYTES = 128;
/** Entries after which every member compacts its log, so that memory does not decide. */
const COMPACT_ENTRIES = 10_000n;

/** Proposals per second of the Raft core alone: messages are handed over in memory, storage is memory. */
export async function run(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const members of [1, 3]) for (const batch of BATCHES) rows.push(measure(members, batch));
  return rows;
}

function measure(members: number, batch: number): Row {
  const group = new Group(members);
  const data = Array.from({ length: batch }, () => new Uint8Array(DATA_BYTES));
  const start = performance.now();
  const before = group.committed;
  while (performance.now() - start < RUN_MS) {
    group.leader.proposeAll(data);
    group.settle();
  }
  const seconds = (performance.now() - start) / 1000;
  const value = Number(group.committed - before) / seconds;
  return { name: `Raft core ${members} members, ${batch} at a time`, value, unit: 'proposals/s' };
}

class Member {
  readonly storage = new MemoryStorage();
  readonly node: RawNode;

  constructor(id: bigint, voters: readonly bigint[]) {
    const confState = { voters, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    this.storage.applySnapshot({ data: new Uint8Array(0), metadata: { index: 0n, term: 0n, confState } });
    const options = { id, electionTicks: 10, heartbeatTicks: 1, messageBytesMax: 65_535 };
    this.node = new RawNode(options, { storage: this.storage, logger: SILENT_RAFT_LOGGER, random: new CryptoRandom() });
  }

  handle(ready: Ready): void {
    if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
    this.storage.append(ready.entries);
    this.node.advance();
    const { applied } = this.node.basicStatus();
    if (applied - this.storage.firstIndex() > 2n * COMPACT_ENTRIES) this.storage.compact(applied - COMPACT_ENTRIES);
  }
}

class Group {
  readonly #members: readonly Member[];
  readonly leader: RawNode;

  constructor(count: number) {
    const ids = Array.from({ length: count }, (_none, at) => BigInt(at + 1));
    this.#members = ids.map((id) => new Member(id, ids));
    const [first] = this.#members;
    if (first === undefined) throw new Error('a group needs members');
    this.leader = first.node;
    this.leader.campaign();
    this.settle();
  }

  get committed(): bigint {
    return this.leader.basicStatus().commit;
  }

  settle(): void {
    for (let sent = this.#work(); sent.length > 0; sent = this.#work()) {
      for (const one of sent) this.#members[Number(one.to) - 1]?.node.step(one);
    }
  }

  #work(): Message[] {
    const sent: Message[] = [];
    for (const member of this.#members) {
      while (member.node.hasReady()) {
        const ready = member.node.ready();
        member.handle(ready);
        sent.push(...ready.messages);
      }
    }
    return sent;
  }
}
