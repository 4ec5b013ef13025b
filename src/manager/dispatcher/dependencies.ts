import { ResourceType, type Config, type Secret, type TaskSpec, type Volume } from '../../api/index.js';
import type { ReadTransaction } from '../../store/index.js';

/** A secret or config that a task or volume needs on its node. */
export interface Dependency {
  /** Unique among all dependencies. */
  readonly key: string;
  readonly kind: 'secret' | 'config';
  readonly id: string;
}

const NONE: readonly Dependency[] = [];

/**
 * What tasks need, by their spec. Tasks of one service version share their spec object, so each version
 * is looked through once, however many tasks and nodes there are.
 */
export class DependencyIndex {
  readonly #bySpec = new WeakMap<TaskSpec, readonly Dependency[]>();

  /** Every secret and config that the spec refers to, each once. */
  ofTaskSpec(spec: TaskSpec | undefined): readonly Dependency[] {
    if (spec === undefined) return NONE;
    let dependencies = this.#bySpec.get(spec);
    if (dependencies === undefined) {
      dependencies = findInTaskSpec(spec);
      this.#bySpec.set(spec, dependencies);
    }
    return dependencies;
  }

  /** The secrets that a volume's driver needs. */
  ofVolume(volume: Volume): readonly Dependency[] {
    return unique((volume.spec?.secrets ?? []).map(({ secret }) => secretDependency(secret)));
  }
}

/**
 * The object to send for a dependency. Undefined when the store has none, and for a secret that only a
 * secret driver could tell: the task is sent without it and fails on the node with that reason.
 */
export function findDependency(view: ReadTransaction, { kind, id }: Dependency): Secret | Config | undefined {
  if (kind === 'config') return view.get('config', id);
  const secret = view.get('secret', id);
  return secret?.spec?.driver === undefined ? secret : undefined;
}

function findInTaskSpec(spec: TaskSpec): readonly Dependency[] {
  const found: Dependency[] = [];
  for (const { resourceType, resourceId } of spec.resourceReferences) {
    if (resourceType === ResourceType.SECRET) found.push(secretDependency(resourceId));
    if (resourceType === ResourceType.CONFIG) found.push(configDependency(resourceId));
  }
  if (spec.runtime.case === 'container') {
    const container = spec.runtime.value;
    for (const { secretId } of container.secrets) found.push(secretDependency(secretId));
    for (const { configId } of container.configs) found.push(configDependency(configId));
  }
  return found.length === 0 ? NONE : unique(found);
}

function secretDependency(id: string): Dependency {
  return { key: `secret:${id}`, kind: 'secret', id };
}

function configDependency(id: string): Dependency {
  return { key: `config:${id}`, kind: 'config', id };
}

function unique(dependencies: readonly Dependency[]): readonly Dependency[] {
  return [...new Map(dependencies.map((dependency) => [dependency.key, dependency])).values()];
}
