import type { Config, NodeDescription, Secret, Task, VolumeAssignment } from '../api/index.js';
import type { Dependencies, DependencyConfig } from './exec/index.js';
import { expandPayload } from './template/index.js';

/** Secrets, configs and volumes assigned to this node. In memory only. */
export class DependencyStore {
  readonly #secrets = new Map<string, Secret>();
  readonly #configs = new Map<string, Config>();
  readonly #volumes = new Map<string, VolumeAssignment>();

  putSecret(secret: Secret): void {
    this.#secrets.set(secret.id, secret);
  }

  removeSecret(secretId: string): void {
    this.#secrets.delete(secretId);
  }

  putConfig(config: Config): void {
    this.#configs.set(config.id, config);
  }

  removeConfig(configId: string): void {
    this.#configs.delete(configId);
  }

  putVolume(volume: VolumeAssignment): void {
    this.#volumes.set(volume.id, volume);
  }

  /** Whether the volume was there. */
  removeVolume(volumeId: string): boolean {
    return this.#volumes.delete(volumeId);
  }

  /** Forgets secrets and configs, before a complete set names them all again. Volumes stay. */
  reset(): void {
    this.#secrets.clear();
    this.#configs.clear();
  }

  /** Whether everything that the task references has been assigned. */
  complete(task: Task): boolean {
    const { secretIds, configIds } = references(task);
    for (const id of secretIds) if (this.#secretOf(task, id) === undefined) return false;
    for (const id of configIds) if (!this.#configs.has(id)) return false;
    return true;
  }

  /**
   * What this task may read, and nothing else; templated payloads are expanded for it. `node` gives the
   * description of this node at the time of reading.
   */
  restrict(task: Task, node: () => NodeDescription | undefined): Dependencies {
    const { secretIds, configIds, volumeIds } = references(task);
    // Templates see the payloads as they were assigned: expanding does not nest.
    const raw = {
      secret: (id: string) => (secretIds.has(id) ? this.#secretOf(task, id) : undefined),
      config: (id: string) => (configIds.has(id) ? this.#configs.get(id) : undefined),
    };
    return {
      secret: (id) => {
        const secret = raw.secret(id);
        const { spec } = secret ?? {};
        if (secret === undefined || spec?.templating === undefined) return secret;
        const { data } = expandPayload(`secret ${id}`, spec.templating, spec.data, task, node(), raw);
        return { ...secret, spec: { ...spec, data } };
      },
      config: (id): DependencyConfig | undefined => {
        const config = raw.config(id);
        const { spec } = config ?? {};
        if (config === undefined || spec?.templating === undefined) return config;
        const { data, sensitive } = expandPayload(`config ${id}`, spec.templating, spec.data, task, node(), raw);
        return { ...config, spec: { ...spec, data }, sensitive };
      },
      volume: (id) => (volumeIds.has(id) ? this.#volumes.get(id) : undefined),
    };
  }

  /** A secret of a driver that gives each task its own comes under the id `secret.task`. */
  #secretOf(task: Task, secretId: string): Secret | undefined {
    const own = this.#secrets.get(`${secretId}.${task.id}`);
    return own === undefined ? this.#secrets.get(secretId) : { ...own, id: secretId };
  }
}

interface References {
  readonly secretIds: ReadonlySet<string>;
  readonly configIds: ReadonlySet<string>;
  readonly volumeIds: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

function references(task: Task): References {
  const container = task.spec?.runtime.case === 'container' ? task.spec.runtime.value : undefined;
  return {
    secretIds: idSet(container?.secrets ?? [], (reference) => reference.secretId),
    configIds: idSet(container?.configs ?? [], (reference) => reference.configId),
    volumeIds: idSet(task.volumes, (attachment) => attachment.id),
  };
}

function idSet<T>(items: readonly T[], id: (item: T) => string): ReadonlySet<string> {
  return items.length === 0 ? NONE : new Set(items.map(id));
}
