import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SILENT_LOGGER } from '../src/base/index.js';
import { AuthenticatedCipher, RaftNode } from '../src/manager/raft-node/index.js';
import { AesGcm, CryptoRandom, NodeDisk, SystemClock } from '../src/platform/index.js';
import { MemoryStore, type ReplicatedStore } from '../src/store/index.js';
import type { Row } from './row.js';

/** Clients that each propose again as soon as their last proposal is durable. */
const CLIENTS = [1, 16, 64];

/** Bytes of one transaction: about those of a task. */
const PROPOSAL_BYTES = 1_000;

const PROPOSALS = 6_000;

/** Durable proposals per second of one member on the disk that holds the temporary directory. */
export async function run(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const clients of CLIENTS) {
    const perSecond = await measure(clients);
    rows.push({ name: `log: durable proposals, ${clients} clients`, value: Math.round(perSecond), unit: '1/s' });
  }
  return rows;
}

async function measure(clients: number): Promise<number> {
  const root = await mkdtemp(join(tmpdir(), 'log-bench-'));
  const [clock, random] = [new SystemClock(), new CryptoRandom()];
  const cipher = new AuthenticatedCipher({ dek: random.bytes(32) }, { aead: new AesGcm(), random });
  const store: ReplicatedStore = new MemoryStore({}, { clock });
  const deps = { disk: new NodeDisk(), clock, random, log: SILENT_LOGGER, cipher, store };
  const node = new RaftNode(
    { stateDir: root, nodeId: 'bench', addr: '127.0.0.1:2377', snapshotIntervalEntries: 0 },
    deps,
  );
  const controller = new AbortController();
  try {
    await node.open(controller.signal);
    const running = node.run(controller.signal);
    await proposeFrom(node, clients, PROPOSALS / 10);
    const startedMs = clock.monotonicMs();
    await proposeFrom(node, clients, PROPOSALS);
    const elapsedMs = clock.monotonicMs() - startedMs;
    controller.abort(new Error('done'));
    await running;
    return (PROPOSALS * 1_000) / elapsedMs;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function proposeFrom(node: RaftNode, clients: number, proposals: number): Promise<void> {
  const actions = new Uint8Array(PROPOSAL_BYTES);
  let left = proposals;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      await new Promise<void>((resolve, reject) => {
        node.propose(actions, { committed: () => resolve(), lost: reject });
      });
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
}
