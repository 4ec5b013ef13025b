import { equals } from '@bufbuild/protobuf';

import { ServiceSpecSchema, UpdateStatus_UpdateState, type Service, type ServiceSpec } from '../api/index.js';
import { by, type ReadTransaction, type StoreEvent } from '../store/index.js';
import type { StoreWatcher } from './observer.js';

interface Known {
  /** What was acknowledged last, and what was asked since without an answer. */
  specs: readonly ServiceSpec[];
  /** Every spec that ever was, for rollbacks. */
  readonly former: ServiceSpec[];
  removal: 'none' | 'asked' | 'acknowledged';
}

const ROLLBACKS: readonly UpdateStatus_UpdateState[] = [
  UpdateStatus_UpdateState.ROLLBACK_STARTED,
  UpdateStatus_UpdateState.ROLLBACK_PAUSED,
  UpdateStatus_UpdateState.ROLLBACK_COMPLETED,
];

/** What the users of a cluster were told about its services: none of it may be lost. */
export class Acknowledged implements StoreWatcher {
  readonly #services = new Map<string, Known>();

  /** Ids of services that are there for sure, and that nobody has asked to remove. */
  get present(): readonly string[] {
    return [...this.#services].filter(([, { removal }]) => removal === 'none').map(([id]) => id);
  }

  /** The cluster has answered that the service is like this. */
  stored(service: Service): void {
    const { spec } = service;
    if (spec === undefined) throw new Error(`service ${service.id} was answered without a spec`);
    const known = this.#services.get(service.id);
    if (known === undefined) this.#services.set(service.id, { specs: [spec], former: [spec], removal: 'none' });
    else {
      known.specs = [spec];
      known.former.push(spec);
    }
  }

  /** Somebody asks for this spec; nobody knows yet whether it is granted. */
  asked(serviceId: string, spec: ServiceSpec): void {
    const known = this.#services.get(serviceId);
    if (known === undefined) return;
    known.specs = [...known.specs, spec];
    known.former.push(spec);
  }

  /** It was not granted. */
  refused(serviceId: string, spec: ServiceSpec): void {
    const known = this.#services.get(serviceId);
    if (known !== undefined) known.specs = known.specs.filter((each) => each !== spec);
  }

  removing(serviceId: string): void {
    const known = this.#services.get(serviceId);
    if (known?.removal === 'none') known.removal = 'asked';
  }

  removed(serviceId: string): void {
    const known = this.#services.get(serviceId);
    if (known !== undefined) known.removal = 'acknowledged';
  }

  begin(tx: ReadTransaction): void {
    for (const [id, known] of this.#services) {
      const service = tx.get('service', id);
      if (service === undefined) demand(known.removal !== 'none', id, 'is lost, although it was acknowledged');
      else this.#check(service, known);
    }
    // A creation whose answer was lost may have taken effect all the same.
    for (const service of tx.find('service', by.all())) if (!this.#services.has(service.id)) this.stored(service);
  }

  event(event: StoreEvent): void {
    if (event.kind === 'commit' || event.table !== 'service') return;
    const known = this.#services.get(event.object.id);
    if (known === undefined) return;
    if (event.kind === 'remove') demand(known.removal !== 'none', event.object.id, 'went without being asked to');
    else this.#check(event.object, known);
  }

  #check(service: Service, known: Known): void {
    demand(known.removal !== 'acknowledged', service.id, 'came back after its removal');
    const isRolledBack = service.updateStatus !== undefined && ROLLBACKS.includes(service.updateStatus.state);
    const allowed = isRolledBack ? known.former : known.specs;
    const isAllowed =
      service.spec !== undefined &&
      allowed.some((spec) => equals(ServiceSpecSchema, spec, service.spec as ServiceSpec));
    demand(isAllowed, service.id, 'has a spec that is not the one acknowledged');
  }
}

function demand(condition: boolean, serviceId: string, problem: string): void {
  if (!condition) throw new Error(`service ${serviceId} ${problem}`);
}
