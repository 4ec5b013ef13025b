import { create, type MessageInitShape } from '@bufbuild/protobuf';

import {
  NodeSpec_Availability,
  RestartPolicy_RestartCondition,
  type SecretReferenceSchema,
  ServiceSpecSchema,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  durationFromMs,
  type RpcClient,
  type Control,
  type Secret,
  type ServiceSpec,
  type Task,
} from '../api/index.js';
import { Code, isSwarmError, randomInt, toSwarmError, type SwarmError } from '../base/index.js';
import { by } from '../store/index.js';
import type { Acknowledged } from './acknowledged.js';
import type { SimCluster } from './cluster.js';
import type { SimScript } from './executor.js';
import type { SeededRandom } from './random.js';

/** How tasks behave, by their image. */
const SCRIPTS: Readonly<Record<string, SimScript>> = {
  steady: {},
  slow: { prepareMs: 900, startMs: 400, shutdownMs: 1_500 },
  hesitant: { temporaryFailures: 2, startMs: 100 },
  brief: { runMs: 3_000, exitCode: 0 },
  failing: { runMs: 2_500, exitCode: 1 },
  rejected: { prepareError: 'no such image' },
  sick: { unhealthy: true },
};

/** Images whose tasks stay. */
const GOOD_IMAGES = ['steady', 'slow', 'hesitant'];

const CALL = { signal: new AbortController().signal };

const SERVICES_MAX = 6;

const ATTEMPTS_MAX = 50;

type ServiceInit = Exclude<MessageInitShape<typeof ServiceSpecSchema>, ServiceSpec>;

/** What refuses a call for a reason that an operator at random must expect. */
const REFUSALS: ReadonlySet<Code> = new Set([
  Code.NOT_FOUND,
  Code.ALREADY_EXISTS,
  Code.FAILED_PRECONDITION,
  Code.UNKNOWN,
  Code.UNAVAILABLE,
  Code.ABORTED,
  Code.CANCELED,
]);

/** The behaviour of a task in scenarios. */
export function scriptOf(task: Task): SimScript {
  return SCRIPTS[imageOf(task)] ?? {};
}

/** Whether a task goes on running until it is stopped. */
export function canRun(task: Task): boolean {
  return GOOD_IMAGES.includes(imageOf(task));
}

function imageOf({ spec }: Task): string {
  return spec?.runtime.case === 'container' ? spec.runtime.value.image : '';
}

/** Somebody who uses the control API at random and remembers what was acknowledged. */
export class Operator {
  readonly #cluster: SimCluster;
  readonly #acknowledged: Acknowledged;
  readonly #random: SeededRandom;
  /** Services with a call under way. */
  readonly #busy = new Set<string>();
  readonly #secrets: Secret[] = [];
  #created = 0;
  /** What went wrong beyond ordinary refusals. */
  failure: SwarmError | undefined;

  constructor(cluster: SimCluster, acknowledged: Acknowledged) {
    this.#cluster = cluster;
    this.#acknowledged = acknowledged;
    this.#random = cluster.random.fork();
  }

  /** Begins one call, if there is something to do. */
  act(): void {
    const { random } = this;
    if (this.#cluster.manager.life?.node.control() === undefined) return;
    const roll = random.float();
    const control = this.#cluster.control();
    if (roll < 0.25) this.#go('create', () => this.#createService(control));
    else if (roll < 0.6) this.#go('update', () => this.#updateService(control));
    else if (roll < 0.7) this.#go('remove', () => this.#removeService(control));
    else if (roll < 0.8) this.#go('secret', () => this.#createSecret(control));
    else this.#go('node', () => this.#updateNode(control));
  }

  /** Makes every node that is left usable again. */
  async activateAll(): Promise<void> {
    const control = this.#cluster.control();
    for (const { id } of this.#cluster.view((tx) => tx.find('node', by.all()))) {
      await this.#insist(() => this.#setAvailability(control, id, NodeSpec_Availability.ACTIVE));
    }
  }

  get random(): SeededRandom {
    return this.#random;
  }

  #go(what: string, call: () => Promise<void>): void {
    this.#cluster.trace.note(`operator ${what}`);
    call().catch((error: unknown) => {
      if (isSwarmError(error) && REFUSALS.has(error.code)) return this.#cluster.trace.note(`refused ${error.code}`);
      this.failure ??= toSwarmError(error);
    });
  }

  async #createService(control: RpcClient<typeof Control>): Promise<void> {
    if (this.#acknowledged.present.length >= SERVICES_MAX) return;
    const spec = this.#spec(`service-${++this.#created}`);
    const { service } = await control.createService({ spec }, CALL);
    if (service !== undefined) this.#acknowledged.stored(service);
  }

  async #updateService(control: RpcClient<typeof Control>): Promise<void> {
    await this.#withService(async (id) => {
      const { service } = await control.getService({ serviceId: id }, CALL);
      if (service?.spec === undefined) return;
      const spec = this.#changed(service.spec);
      this.#acknowledged.asked(id, spec);
      try {
        const serviceVersion = service.meta?.version;
        const request = { serviceId: id, spec, ...(serviceVersion === undefined ? {} : { serviceVersion }) };
        const answer = await control.updateService(request, CALL);
        if (answer.service !== undefined) this.#acknowledged.stored(answer.service);
      } catch (error) {
        if (!mayHaveHappened(error)) this.#acknowledged.refused(id, spec);
        throw error;
      }
    });
  }

  async #removeService(control: RpcClient<typeof Control>): Promise<void> {
    await this.#withService(async (id) => {
      this.#acknowledged.removing(id);
      await control.removeService({ serviceId: id }, CALL);
      this.#acknowledged.removed(id);
    });
  }

  async #withService(call: (id: string) => Promise<void>): Promise<void> {
    const id = this.#pick(this.#acknowledged.present.filter((each) => !this.#busy.has(each)));
    if (id === undefined) return;
    this.#busy.add(id);
    try {
      await call(id);
    } finally {
      this.#busy.delete(id);
    }
  }

  async #createSecret(control: RpcClient<typeof Control>): Promise<void> {
    const name = `secret-${this.#created}-${this.#secrets.length}-${randomInt(this.#random, 1e6)}`;
    const { secret } = await control.createSecret(
      { spec: { annotations: { name }, data: this.#random.bytes(16) } },
      CALL,
    );
    if (secret !== undefined) this.#secrets.push(secret);
  }

  async #updateNode(control: RpcClient<typeof Control>): Promise<void> {
    const node = this.#pick(this.#cluster.view((tx) => tx.find('node', by.all())));
    const { ACTIVE, PAUSE, DRAIN } = NodeSpec_Availability;
    await this.#setAvailability(control, node?.id ?? '', this.#pick([ACTIVE, ACTIVE, PAUSE, DRAIN]) ?? ACTIVE);
  }

  async #setAvailability(
    control: RpcClient<typeof Control>,
    nodeId: string,
    availability: NodeSpec_Availability,
  ): Promise<void> {
    const { node } = await control.getNode({ nodeId }, CALL);
    if (node?.spec === undefined || node.meta?.version === undefined) return;
    const spec = { ...node.spec, availability };
    await control.updateNode({ nodeId, nodeVersion: node.meta.version, spec }, CALL);
  }

  /** Tries again while others change the same object at the same time. */
  async #insist(call: () => Promise<void>): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await call();
      } catch (error) {
        if (attempt >= ATTEMPTS_MAX || !isSwarmError(error, Code.UNKNOWN)) throw error;
      }
    }
  }

  #spec(name: string): ServiceSpec {
    const random = this.#random;
    const order = this.#pick([UpdateConfig_UpdateOrder.STOP_FIRST, UpdateConfig_UpdateOrder.START_FIRST]) ?? 0;
    const { PAUSE, CONTINUE, ROLLBACK } = UpdateConfig_FailureAction;
    const update = {
      parallelism: BigInt(randomInt(random, 4)),
      delay: durationFromMs(randomInt(random, 3) * 500),
      failureAction: this.#pick([PAUSE, CONTINUE, ROLLBACK]) ?? PAUSE,
      monitor: durationFromMs(2_000),
      order,
    };
    return create(ServiceSpecSchema, {
      annotations: { name },
      task: {
        runtime: { case: 'container', value: { image: this.#image(), secrets: this.#someSecrets() } },
        restart: {
          condition:
            random.float() < 0.5 ? RestartPolicy_RestartCondition.ANY : RestartPolicy_RestartCondition.ON_FAILURE,
          delay: durationFromMs(400 + randomInt(random, 4) * 700),
        },
      },
      mode: this.#mode(),
      update,
      rollback: { ...update, failureAction: PAUSE },
    });
  }

  #mode(): ServiceInit['mode'] & object {
    const count = BigInt(1 + randomInt(this.#random, 7));
    if (this.#random.float() < 0.8) return { case: 'replicated', value: { replicas: count } };
    return { case: 'global', value: {} };
  }

  #image(): string {
    const good = this.#random.float() < 0.75;
    return this.#pick(good ? GOOD_IMAGES : Object.keys(SCRIPTS)) ?? 'steady';
  }

  #someSecrets(): MessageInitShape<typeof SecretReferenceSchema>[] {
    const secret = this.#random.float() < 0.3 ? this.#pick(this.#secrets) : undefined;
    if (secret === undefined) return [];
    const secretName = secret.spec?.annotations?.name ?? '';
    return [
      {
        secretId: secret.id,
        secretName,
        target: { case: 'file', value: { name: secretName, uid: '0', gid: '0', mode: 0o444 } },
      },
    ];
  }

  /** A change of scale or of the tasks. */
  #changed(spec: ServiceSpec): ServiceSpec {
    if (spec.mode.case === 'replicated' && this.#random.float() < 0.5) {
      const replicas = BigInt(randomInt(this.#random, 9));
      return { ...spec, mode: { case: 'replicated', value: { ...spec.mode.value, replicas } } };
    }
    const { task } = spec;
    if (task?.runtime.case !== 'container') return spec;
    const image = this.#image();
    const runtime = { case: 'container' as const, value: { ...task.runtime.value, image } };
    return { ...spec, task: { ...task, runtime, forceUpdate: task.forceUpdate + 1n } };
  }

  #pick<T>(choices: readonly T[]): T | undefined {
    return choices[randomInt(this.#random, choices.length)];
  }
}

/** Whether a call that failed may have taken effect. */
function mayHaveHappened(error: unknown): boolean {
  return !isSwarmError(error) || error.code === Code.UNAVAILABLE || error.code === Code.CANCELED;
}
