import { epochMs, markVariable, type FleetAnswer } from './agent-messages.js';
import type { Fleet } from './fleet.js';
import { pause, type Manager } from './manager.js';

/** How often the manager is asked at least between two answers, in milliseconds. */
const POLL_MS = 5;

/** What it took until all tasks of a load ran. */
export interface Convergence {
  /** From the request until an agent ran the first, and the last, task. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Until the manager showed that all run. */
  readonly shownMs: number;
  readonly managerCpuSeconds: number;
  readonly agentsCpuSeconds: number;
  readonly managerRssMib: number;
  /** Longest time that our event loop was held; 0 for a stock engine. */
  readonly loopDelayMaxMs: number;
}

/** How a service is updated. */
export interface UpdateOptions {
  /** Tasks at a time; 0: all at once. */
  readonly parallelism: number;
}

interface ServiceInfo {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Name: string };
  readonly ServiceStatus: { readonly RunningTasks: number };
}

/** Loads a manager with services and measures how long it takes until the agents run their tasks. */
export class Load {
  readonly #manager: Manager;
  readonly #fleet: Fleet;
  #marks = 0;

  constructor(manager: Manager, fleet: Fleet) {
    this.#manager = manager;
    this.#fleet = fleet;
  }

  /** Creates services of so many replicas each, all requests at once. */
  create(services: number, replicas: number): Promise<Convergence> {
    return this.#measure(services * replicas, async (mark) => {
      const names = Array.from({ length: services }, (_, index) => `service-${mark}-${index}`);
      await Promise.all(
        names.map((name) => this.#manager.api.post('/services/create', serviceSpec(name, replicas, mark, 0))),
      );
    });
  }

  /** Gives every task of the only service a new environment. */
  async update(replicas: number, { parallelism }: UpdateOptions): Promise<Convergence> {
    const [service] = await this.#services();
    if (service === undefined) throw new Error('there is no service to update');
    return this.#measure(replicas, async (mark) => {
      const spec = serviceSpec(service.Spec.Name, replicas, mark, parallelism);
      await this.#manager.api.post(`/services/${service.ID}/update?version=${service.Version.Index}`, spec);
    });
  }

  /** Removes all services; resolves with the milliseconds until nothing is left of them. */
  async remove(): Promise<number> {
    const services = await this.#services();
    const startMs = epochMs();
    await Promise.all(services.map(({ ID }) => this.#manager.api.delete(`/services/${ID}`)));
    await this.#fleet.ask({ kind: 'untilGone' });
    await this.#poll(async () => (await this.#manager.api.get<readonly unknown[]>('/tasks')).length === 0);
    return epochMs() - startMs;
  }

  #services(): Promise<readonly ServiceInfo[]> {
    return this.#manager.api.get<readonly ServiceInfo[]>('/services?status=true');
  }

  async #measure(tasks: number, act: (mark: string) => Promise<void>): Promise<Convergence> {
    const mark = `round-${++this.#marks}`;
    const running: Promise<FleetAnswer> = this.#fleet.ask({ kind: 'untilRunning', mark, tasks });
    await this.#manager.loopDelays();
    const before = { manager: this.#manager.child.usage(), agents: this.#fleet.usage() };
    const startMs = epochMs();
    const [{ firstMs, lastMs }] = await Promise.all([running, act(mark)]);
    // Asking for the status costs a stock manager much, so it is not asked before it can be true.
    await this.#poll(async () => {
      const services = await this.#services();
      return services.reduce((sum, { ServiceStatus }) => sum + ServiceStatus.RunningTasks, 0) === tasks;
    });
    const shownMs = epochMs() - startMs;
    const after = { manager: this.#manager.child.usage(), agents: this.#fleet.usage() };
    return {
      firstMs: firstMs - startMs,
      lastMs: lastMs - startMs,
      shownMs,
      managerCpuSeconds: after.manager.cpuSeconds - before.manager.cpuSeconds,
      agentsCpuSeconds: after.agents.cpuSeconds - before.agents.cpuSeconds,
      managerRssMib: after.manager.rssMib,
      loopDelayMaxMs: (await this.#manager.loopDelays())?.maxMs ?? 0,
    };
  }

  /** Asks again and again, and leaves the manager at least as much time as its answers take. */
  async #poll(isDone: () => Promise<boolean>): Promise<void> {
    for (;;) {
      const askedMs = epochMs();
      if (await isDone()) return;
      await pause(Math.max(POLL_MS, epochMs() - askedMs));
    }
  }
}

function serviceSpec(name: string, replicas: number, mark: string, parallelism: number): object {
  return {
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: 'simulated', Env: [markVariable(mark)] } },
    Mode: { Replicated: { Replicas: replicas } },
    UpdateConfig: { Parallelism: parallelism },
  };
}
