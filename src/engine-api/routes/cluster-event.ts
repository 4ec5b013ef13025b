import { NodeSpec_Availability, NodeStatus_State, type Meta, type Node, type Service } from '../../api/index.js';
import type { ObjectEvent, TableName } from '../../store/index.js';
import { availabilityWord, nodeStateWord, reachabilityWord, roleWord, updateStateWord } from '../convert/index.js';

/** An event as `/events` shows it. */
export interface EngineEvent {
  readonly type: string;
  readonly action: 'create' | 'update' | 'remove';
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly scope: 'swarm';
  readonly timeNano: bigint;
}

/** Tables whose changes become events. */
export const EVENT_TABLES: readonly TableName[] = ['node', 'service', 'network', 'secret', 'config'];

/** The event of a change in the store (engine-api E-275); undefined for tables that make none. */
export function clusterEvent(event: ObjectEvent, nowMs: number): EngineEvent | undefined {
  if (!EVENT_TABLES.includes(event.table)) return undefined;
  return {
    type: event.table,
    action: event.kind,
    id: event.object.id,
    attributes: attributesOf(event),
    scope: 'swarm',
    timeNano: timeOf(event, nowMs),
  };
}

function attributesOf(event: ObjectEvent): Record<string, string> {
  switch (event.table) {
    case 'node':
      return {
        name: nodeName(event.object),
        ...(event.kind === 'update' ? nodeChanges(event.object, event.oldObject) : {}),
      };
    case 'service':
      return {
        name: event.object.spec?.annotations?.name ?? '',
        ...(event.kind === 'update' ? serviceChanges(event.object, event.oldObject) : {}),
      };
    case 'network':
    case 'secret':
    case 'config':
      return { name: event.object.spec?.annotations?.name ?? '' };
    default:
      return {};
  }
}

function nodeName(node: Node): string {
  return (node.spec?.annotations?.name ?? '') || (node.description?.hostname ?? '');
}

/** `key.old` and `key.new` where the two differ. */
function difference(key: string, before: string, after: string): Record<string, string> {
  return before === after ? {} : { [`${key}.old`]: before, [`${key}.new`]: after };
}

function nodeChanges(node: Node, old: Node): Record<string, string> {
  const changes = {
    ...difference('availability', availabilityOf(old), availabilityOf(node)),
    ...difference('role', roleWord(old.role), roleWord(node.role)),
    ...difference('state', stateOf(old), stateOf(node)),
  };
  const [before, after] = [old.managerStatus, node.managerStatus];
  if (before === undefined || after === undefined) return changes;
  return {
    ...changes,
    ...difference('leader', String(before.leader), String(after.leader)),
    ...difference('reachability', reachabilityWord(before.reachability), reachabilityWord(after.reachability)),
  };
}

function availabilityOf(node: Node): string {
  return availabilityWord(node.spec?.availability ?? NodeSpec_Availability.ACTIVE);
}

function stateOf(node: Node): string {
  return nodeStateWord(node.status?.state ?? NodeStatus_State.UNKNOWN);
}

function serviceChanges(service: Service, old: Service): Record<string, string> {
  return {
    ...difference('image', imageOf(old), imageOf(service)),
    ...difference('replicas', replicasOf(old), replicasOf(service)),
    ...updateStateChange(service, old),
  };
}

function updateStateChange(service: Service, old: Service): Record<string, string> {
  if (service.updateStatus === undefined) return {};
  const after = updateStateWord(service.updateStatus.state);
  if (old.updateStatus === undefined) return { 'updatestate.new': after };
  return difference('updatestate', updateStateWord(old.updateStatus.state), after);
}

function imageOf(service: Service): string {
  const runtime = service.spec?.task?.runtime;
  return runtime?.case === 'container' ? runtime.value.image : '';
}

function replicasOf(service: Service): string {
  const mode = service.spec?.mode;
  return mode?.case === 'replicated' ? mode.value.replicas.toString() : '';
}

/** From the object's meta; removals carry none, so they are timed when they are seen. */
function timeOf(event: ObjectEvent, nowMs: number): bigint {
  const meta: Meta | undefined = event.object.meta;
  const timestamp = event.kind === 'create' ? meta?.createdAt : event.kind === 'update' ? meta?.updatedAt : undefined;
  if (timestamp === undefined) return BigInt(Math.floor(nowMs * 1e6));
  return timestamp.seconds * 1_000_000_000n + BigInt(timestamp.nanos);
}
