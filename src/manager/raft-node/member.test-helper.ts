import type { Clock, Disk, Logger, Random } from '../../base/index.js';
import { PlainCipher } from './cipher.js';
import { FakeStore, proposeCreation } from './fakes.test-helper.js';
import type { RaftNodeOptions } from './options.js';
import { RaftNode } from './raft-node.js';

/** A signal that never aborts. */
export const NEVER = new AbortController().signal;

/** Options of the member under test. */
export const OPTIONS: RaftNodeOptions = { stateDir: '/state', nodeId: 'node-1', addr: '10.0.0.1:2377' };

/** A member under test: its store, how it ends, and how to stop it. */
export interface Running {
  readonly node: RaftNode;
  readonly store: FakeStore;
  /** Resolves with the error where there was one. */
  readonly ended: Promise<unknown>;
  readonly stop: () => Promise<unknown>;
}

/** Opens and runs a member. */
export async function startMember(
  world: { readonly disk: Disk; readonly clock: Clock; readonly random: Random; readonly log: Logger },
  options: Partial<RaftNodeOptions> = {},
): Promise<Running> {
  const store = new FakeStore();
  const node = new RaftNode({ ...OPTIONS, ...options }, { ...world, cipher: new PlainCipher(), store });
  await node.open(NEVER);
  return { node, store, ...runMember(node) };
}

/** Runs an open member. */
export function runMember(node: RaftNode): Pick<Running, 'ended' | 'stop'> {
  const controller = new AbortController();
  const ended = node.run(controller.signal).catch((error: unknown) => error);
  const stop = (): Promise<unknown> => {
    controller.abort(new Error('stopped by the test'));
    return ended;
  };
  return { ended, stop };
}

/** The ids `c<from>` to `c<to>`. */
export function ids(from: number, to: number): readonly string[] {
  return Array.from({ length: to - from + 1 }, (_, at) => `c${from + at}`);
}

/** Proposes all at once; resolves with their indexes. */
export async function proposeAll({ node, store }: Running, all: readonly string[]): Promise<readonly bigint[]> {
  return Promise.all(all.map((id) => proposeCreation(node, store, id)));
}

/** Proposes one after the other. */
export async function proposeEach({ node, store }: Running, all: readonly string[]): Promise<void> {
  for (const id of all) await proposeCreation(node, store, id);
}
