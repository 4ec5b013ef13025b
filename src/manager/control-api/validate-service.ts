import {
  EndpointSpec_ResolutionMode,
  PortConfig_PublishMode,
  type EndpointSpec,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from '../../api/index.js';
import { invalidArgument } from './errors.js';
import { validateAnnotations } from './validate-annotations.js';
import { validateNotNegative } from './validate-duration.js';
import { validateTaskSpec } from './validate-task.js';

/** Largest count that stock managers, which use signed numbers inside, can hold. */
const COUNT_MAX = 2n ** 63n - 1n;

/** Refuses a service spec that breaks a rule of its own, whatever else is in the cluster. */
export function validateServiceSpec(
  spec: ServiceSpec | undefined,
  checkTemplate?: (spec: TaskSpec) => string | undefined,
): asserts spec is ServiceSpec {
  if (spec === undefined) throw invalidArgument();
  validateAnnotations(spec.annotations);
  validateTaskSpec(spec.task, checkTemplate);
  validateMode(spec.mode);
  if (isJob(spec) && spec.update !== undefined) throw invalidArgument('Jobs may not have an update config');
  validateUpdate('update', spec.update);
  validateUpdate('rollback', spec.rollback);
  validateEndpoint(spec.endpoint);
}

/** Whether the spec describes a job, replicated or global. */
export function isJob(spec: ServiceSpec): boolean {
  return spec.mode.case === 'replicatedJob' || spec.mode.case === 'globalJob';
}

function validateMode(mode: ServiceSpec['mode']): void {
  switch (mode.case) {
    case 'replicated':
      if (mode.value.replicas > COUNT_MAX) throw invalidArgument('Number of replicas must be non-negative');
      return;
    case 'replicatedJob':
      if (mode.value.maxConcurrent > COUNT_MAX) {
        throw invalidArgument('Maximum concurrent jobs must not be negative');
      }
      if (mode.value.totalCompletions > COUNT_MAX) throw invalidArgument('Total completed jobs must not be negative');
      return;
    case 'global':
    case 'globalJob':
      return;
    case undefined:
      throw invalidArgument('Unrecognized service mode');
  }
}

function validateUpdate(which: 'update' | 'rollback', update: UpdateConfig | undefined): void {
  if (update === undefined) return;
  validateNotNegative(`${which}.delay`, update.delay, `TaskSpec: ${which}-delay cannot be negative`);
  validateNotNegative(`${which}.monitor`, update.monitor, `TaskSpec: ${which}-monitor cannot be negative`);
  // Written so that NaN is refused too.
  if (!(update.maxFailureRatio >= 0 && update.maxFailureRatio <= 1)) {
    throw invalidArgument(`TaskSpec: ${which}-maxfailureratio cannot be less than 0 or bigger than 1`);
  }
}

function validateEndpoint(endpoint: EndpointSpec | undefined): void {
  const published = new Set<string>();
  for (const port of endpoint?.ports ?? []) {
    // The routing mesh balances on a virtual address, which round-robin names do not have.
    if (endpoint?.mode === EndpointSpec_ResolutionMode.DNSRR && port.publishMode === PortConfig_PublishMode.INGRESS) {
      throw invalidArgument("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    }
    if (port.publishedPort === 0) continue;
    const key = `${port.publishedPort}/${port.protocol}`;
    if (published.has(key)) throw invalidArgument('EndpointSpec: duplicate published ports provided');
    published.add(key);
  }
}
