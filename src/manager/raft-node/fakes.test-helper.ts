import { create, toBinary } from '@bufbuild/protobuf';
import {
  ConfigSchema,
  InternalRaftRequestSchema,
  raftpb,
  type StoreAction,
  StoreActionKind,
  StoreActionSchema,
  type StoreSnapshot,
  StoreSnapshotSchema,
} from '../../api/index.js';
import type { Proposer, ReadTransaction, ReplicatedStore } from '../../store/index.js';

/** An entry of the log with a text as its data. */
export function entry(index: number, term: number, text: string): raftpb.Entry {
  const data = new TextEncoder().encode(text);
  const Type = raftpb.EntryType.EntryNormal;
  return create(raftpb.EntrySchema, { Index: BigInt(index), Term: BigInt(term), Type, Data: data });
}

/** The text of an entry. */
export function textOf({ Data }: raftpb.Entry): string {
  return new TextDecoder().decode(Data);
}

/** A hard state of small numbers. */
export function hardState(term: number, commit: number): raftpb.HardState {
  return create(raftpb.HardStateSchema, { term: BigInt(term), vote: 1n, commit: BigInt(commit) });
}

/** The encoded actions of a transaction that creates a config with this id. */
export function creation(id: string): Uint8Array {
  const action = create(StoreActionSchema, {
    action: StoreActionKind.STORE_ACTION_CREATE,
    target: { case: 'config', value: create(ConfigSchema, { id }) },
  });
  return toBinary(InternalRaftRequestSchema, create(InternalRaftRequestSchema, { action: [action] }));
}

/** Proposes a creation; resolves with its index, rejects when it is lost. */
export function proposeCreation(proposer: Proposer, store: FakeStore, id: string): Promise<bigint> {
  return new Promise((resolve, reject) => {
    proposer.propose(creation(id), {
      committed: (index) => {
        store.ids.push(id);
        resolve(index);
      },
      lost: reject,
    });
  });
}

/** A store that only remembers which ids were created, in order. */
export class FakeStore implements ReplicatedStore {
  ids: string[] = [];
  version = 0n;

  applyActions(actions: readonly StoreAction[], index: bigint): void {
    for (const { target } of actions) this.ids.push(target.case === 'config' ? target.value.id : 'other');
    this.version = index;
  }

  save(): StoreSnapshot {
    return create(StoreSnapshotSchema, { configs: this.ids.map((id) => create(ConfigSchema, { id })) });
  }

  restore(snapshot: StoreSnapshot, index: bigint): void {
    this.ids = snapshot.configs.map((config) => config.id);
    this.version = index;
  }

  view<T>(read: (tx: ReadTransaction) => T): T {
    return read({ get: () => undefined, find: () => [], count: () => 0 });
  }

  update(): Promise<never> {
    return unused();
  }

  batch(): Promise<never> {
    return unused();
  }

  watch(): never {
    throw new Error('not used here');
  }

  viewAndWatch(): never {
    throw new Error('not used here');
  }
}

function unused(): Promise<never> {
  return Promise.reject(new Error('not used here'));
}
