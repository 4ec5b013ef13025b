import { create, toBinary, type DescField, type DescMessage, type Message } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

import {
  InternalRaftRequestSchema,
  NetworkAttachmentSchema,
  ServiceSchema,
  StoreActionKind,
  StoreActionSchema,
  TaskSchema,
  TaskState,
  type NetworkAttachment,
  type Service,
  type Task,
} from '../api/index.js';
import type { Change } from './change.js';
import type { StoredObject } from './table.js';
import type { TableName } from './tables.js';

type UnknownField = NonNullable<Message['$unknown']>[number];

/** Encoded messages that many objects share, by identity; with the length in front, as a field's value. */
const shared = new WeakMap<object, Uint8Array>();

/** How to write one field that objects share by identity. */
interface SharedField {
  readonly no: number;
  readonly schema: DescMessage;
  /** Remembers encoded messages; only what can no longer change is given to it. */
  readonly memory: { get(message: object): Uint8Array | undefined; set(message: object, data: Uint8Array): unknown };
}

/** Remembers the last one only: for messages of which each is shared within one burst of changes and never again. */
class LastEncoded {
  #message: object | undefined;
  #data: Uint8Array | undefined;

  get(message: object): Uint8Array | undefined {
    return message === this.#message ? this.#data : undefined;
  }

  set(message: object, data: Uint8Array): void {
    this.#message = message;
    this.#data = data;
  }
}

/** What the tasks of one service version share, and what those that are written together do. */
const TASK_SHARED: readonly (readonly [name: keyof Task, field: SharedField])[] = [
  ['spec', sharedBy(TaskSchema.field.spec, shared)],
  ['specVersion', sharedBy(TaskSchema.field.specVersion, shared)],
  ['serviceAnnotations', sharedBy(TaskSchema.field.serviceAnnotations, shared)],
  ['endpoint', sharedBy(TaskSchema.field.endpoint, shared)],
  ['meta', sharedBy(TaskSchema.field.meta, new LastEncoded())],
  ['status', sharedBy(TaskSchema.field.status, new LastEncoded())],
];
const SERVICE_SPEC = sharedBy(ServiceSchema.field.spec, shared);
const PREVIOUS_SPEC = sharedBy(ServiceSchema.field.previousSpec, shared);
const ATTACHED_NETWORK = sharedBy(NetworkAttachmentSchema.field.network, shared);

const NO_TASK: Task = create(TaskSchema);

/** Encodes one object after the other: its buffer grows once and not for each. Empty between two of them. */
const writer = new BinaryWriter();

/** The encoded object; what it shares with others is encoded once for all of them. */
export function encodeObject(table: TableName, object: StoredObject): Uint8Array {
  return written(() => writeObject(table, object));
}

/** The encoded `action` field of an `InternalRaftRequest` for one change. */
export function encodeChange(change: Change): Uint8Array {
  const object = change.new ?? change.old;
  return written(() => {
    writer.tag(InternalRaftRequestSchema.field.action.number, WireType.LengthDelimited).fork();
    writer.tag(StoreActionSchema.field.action.number, WireType.Varint).int32(actionKind(change));
    writer.tag(StoreActionSchema.field[change.table].number, WireType.LengthDelimited).fork();
    if (object !== undefined) writeObject(change.table, object);
    writer.join().join();
  });
}

function written(write: () => void): Uint8Array {
  try {
    write();
  } catch (error) {
    // Nothing of what could not be encoded stays behind.
    writer.finish();
    throw error;
  }
  return writer.finish();
}

function writeObject(table: TableName, object: StoredObject): void {
  if (table === 'task') writeTask(object as Task);
  else if (table === 'service') writer.raw(toBinary(ServiceSchema, encodableService(object as Service)));
  else writer.raw(toBinary(StoreActionSchema.field[table].message as DescMessage, object));
}

/** Protobuf lets fields come in any order: first those that nearly every task has, then what is rare. */
function writeTask(task: Task): void {
  const { field } = TaskSchema;
  writeString(field.id.number, task.id);
  writeString(field.serviceId.number, task.serviceId);
  writeString(field.nodeId.number, task.nodeId);
  if (task.slot !== 0n) writer.tag(field.slot.number, WireType.Varint).uint64(task.slot);
  if (task.desiredState !== TaskState.NEW)
    writer.tag(field.desiredState.number, WireType.Varint).int32(task.desiredState);
  for (const [name, sharedField] of TASK_SHARED) {
    const message = task[name] as Message | undefined;
    if (message !== undefined)
      writer.tag(sharedField.no, WireType.LengthDelimited).raw(sharedBytes(sharedField, message));
  }
  if (hasRareFields(task)) writer.raw(toBinary(TaskSchema, rareFieldsOf(task)));
}

function writeString(no: number, value: string): void {
  if (value !== '') writer.tag(no, WireType.LengthDelimited).string(value);
}

function hasRareFields(task: Task): boolean {
  return (
    task.networks.length + task.assignedGenericResources.length + task.volumes.length > 0 ||
    task.annotations !== undefined ||
    task.logDriver !== undefined ||
    task.jobIteration !== undefined ||
    task.$unknown !== undefined
  );
}

function rareFieldsOf(task: Task): Task {
  const { annotations, logDriver, assignedGenericResources, jobIteration, volumes } = task;
  const networks = task.networks.map(encodableAttachment);
  const rare = { ...NO_TASK, annotations, logDriver, assignedGenericResources, jobIteration, volumes, networks };
  return task.$unknown === undefined ? rare : withFields(rare, task.$unknown);
}

/** A stand-in that encodes to the same message: its network is already encoded and rides along as an unknown field. */
function encodableAttachment(attachment: NetworkAttachment): NetworkAttachment {
  const { network, ...rest } = attachment;
  return network === undefined ? attachment : withFields(rest, [encodedField(ATTACHED_NETWORK, network)]);
}

/** As {@link encodableAttachment} for a service and its two specs. */
function encodableService(service: Service): Service {
  const { spec, previousSpec, ...rest } = service;
  const fields: UnknownField[] = [];
  if (spec !== undefined) fields.push(encodedField(SERVICE_SPEC, spec));
  if (previousSpec !== undefined) fields.push(encodedField(PREVIOUS_SPEC, previousSpec));
  return withFields(rest, fields);
}

/** The encoded fields one after the other. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const whole = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let position = 0;
  for (const chunk of chunks) {
    whole.set(chunk, position);
    position += chunk.length;
  }
  return whole;
}

function actionKind(change: Change): StoreActionKind {
  if (change.new === undefined) return StoreActionKind.STORE_ACTION_REMOVE;
  return change.old === undefined ? StoreActionKind.STORE_ACTION_CREATE : StoreActionKind.STORE_ACTION_UPDATE;
}

function withFields<T extends Message>(message: T, fields: readonly UnknownField[]): T {
  return { ...message, $unknown: message.$unknown === undefined ? [...fields] : [...message.$unknown, ...fields] };
}

function encodedField(field: SharedField, message: Message): UnknownField {
  return { no: field.no, wireType: WireType.LengthDelimited, data: sharedBytes(field, message) };
}

function sharedBytes({ schema, memory }: SharedField, message: Message): Uint8Array {
  let data = memory.get(message);
  if (data === undefined) {
    data = new BinaryWriter().bytes(toBinary(schema, message)).finish();
    // Only what can no longer change may be remembered.
    if (Object.isFrozen(message)) memory.set(message, data);
  }
  return data;
}

function sharedBy(field: DescField, memory: SharedField['memory']): SharedField {
  return { no: field.number, schema: field.message as DescMessage, memory };
}
