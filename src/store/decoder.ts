import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

import {
  InternalRaftRequestSchema,
  NetworkAttachmentSchema,
  NetworkSchema,
  SnapshotSchema,
  StoreActionSchema,
  StoreSnapshotSchema,
  TaskSchema,
  TaskSpecSchema,
  type InternalRaftRequest,
  type NetworkAttachment,
  type Snapshot,
  type StoreAction,
  type StoreSnapshot,
  type Task,
} from '../api/index.js';
import { concatBytes } from './encode.js';
import { deepFreeze } from './freeze.js';

/** Encoded messages whose decoded form is kept, of each kind. A bound, not a tuning knob. */
const INTERNED_MAX = 4096;

/**
 * Decodes what comes from the log. Specs and networks of tasks are decoded once for each distinct encoding
 * and shared: they are nearly all of a task, and a service's tasks have the same.
 */
export class StoreDecoder {
  readonly #specs = new Interned(TaskSpecSchema);
  readonly #networks = new Interned(NetworkSchema);

  /** The data of a normal log entry. */
  request(bytes: Uint8Array): InternalRaftRequest {
    const { values, rest } = split(bytes, InternalRaftRequestSchema.field.action.number);
    return { ...fromBinary(InternalRaftRequestSchema, rest), action: values.map((value) => this.#action(value)) };
  }

  /** The data of a raft snapshot. */
  snapshot(bytes: Uint8Array): Snapshot {
    const { values, rest } = split(bytes, SnapshotSchema.field.store.number);
    const snapshot = fromBinary(SnapshotSchema, rest);
    // A message field that comes twice is merged; ours and SwarmKit's writers never do that.
    const store = values.at(-1);
    return store === undefined ? snapshot : { ...snapshot, store: this.#store(store) };
  }

  #store(bytes: Uint8Array): StoreSnapshot {
    const { values, rest } = split(bytes, StoreSnapshotSchema.field.tasks.number);
    return { ...fromBinary(StoreSnapshotSchema, rest), tasks: values.map((value) => this.#task(value)) };
  }

  #action(bytes: Uint8Array): StoreAction {
    const { values, rest } = split(bytes, StoreActionSchema.field.task.number);
    const action = fromBinary(StoreActionSchema, rest);
    const task = values.at(-1);
    return task === undefined ? action : { ...action, target: { case: 'task', value: this.#task(task) } };
  }

  #task(bytes: Uint8Array): Task {
    const spec = split(bytes, TaskSchema.field.spec.number);
    const networks = split(spec.rest, TaskSchema.field.networks.number);
    const task = fromBinary(TaskSchema, networks.rest);
    const specBytes = spec.values.at(-1);
    const attached = networks.values.map((value) => this.#attachment(value));
    return specBytes === undefined
      ? { ...task, networks: attached }
      : { ...task, networks: attached, spec: this.#specs.decode(specBytes) };
  }

  #attachment(bytes: Uint8Array): NetworkAttachment {
    const { values, rest } = split(bytes, NetworkAttachmentSchema.field.network.number);
    const attachment = fromBinary(NetworkAttachmentSchema, rest);
    const network = values.at(-1);
    return network === undefined ? attachment : { ...attachment, network: this.#networks.decode(network) };
  }
}

/** Decoded messages by their encoding; when full it begins anew. */
class Interned<D extends DescMessage> {
  readonly #schema: D;
  readonly #decoded = new Map<string, MessageShape<D>>();

  constructor(schema: D) {
    this.#schema = schema;
  }

  decode(bytes: Uint8Array): MessageShape<D> {
    const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    let message = this.#decoded.get(key);
    if (message !== undefined) return message;
    message = deepFreeze(fromBinary(this.#schema, bytes));
    if (this.#decoded.size >= INTERNED_MAX) this.#decoded.clear();
    this.#decoded.set(key, message);
    return message;
  }
}

interface Split {
  /** Values of the field, in order. */
  readonly values: readonly Uint8Array[];
  /** The message without the field. */
  readonly rest: Uint8Array;
}

/** Takes a length-delimited field out of an encoded message. */
function split(bytes: Uint8Array, fieldNumber: number): Split {
  const reader = new BinaryReader(bytes);
  const values: Uint8Array[] = [];
  const kept: Uint8Array[] = [];
  let keptFrom = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    if (number !== fieldNumber || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    if (start > keptFrom) kept.push(bytes.subarray(keptFrom, start));
    values.push(reader.bytes());
    keptFrom = reader.pos;
  }
  if (values.length === 0) return { values, rest: bytes };
  if (keptFrom < bytes.length) kept.push(bytes.subarray(keptFrom));
  return { values, rest: concatBytes(kept) };
}
