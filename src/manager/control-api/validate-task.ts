import {
  parseConstraints,
  resourceKind,
  type GenericRuntimeSpec,
  type Resources,
  type RestartPolicy,
  type TaskSpec,
} from '../../api/index.js';
import { validateContainer } from './validate-container.js';
import { validateNotNegative } from './validate-duration.js';
import { invalidArgument, unimplemented } from './errors.js';
import { validateConfigReferences, validateSecretReferences } from './validate-references.js';

/** A thousandth of a CPU. Source: SwarmKit. */
const NANO_CPUS_MIN = 1_000_000n;

/** Docker's smallest memory limit, 4 MiB. Source: SwarmKit. */
const MEMORY_BYTES_MIN = 4n * 1024n * 1024n;

/** Source: SwarmKit. */
const KIND_LENGTH_MIN = 3;

const RESERVED_KINDS: readonly string[] = ['container', 'attachment'];

/** What a task template must fulfil. `checkTemplate` says what is wrong with its templates, if anything. */
export function validateTaskSpec(
  task: TaskSpec | undefined,
  checkTemplate?: (spec: TaskSpec) => string | undefined,
): void {
  validateResources(task?.resources?.limits);
  validateResources(task?.resources?.reservations);
  validateRestart(task?.restart);
  parseConstraints(task?.placement?.constraints ?? []);
  if (task?.runtime.case === 'container') {
    validateSecretReferences(task.runtime.value);
    validateConfigReferences(task.runtime.value);
  }
  validateRuntime(task, checkTemplate);
}

function validateRuntime(task: TaskSpec | undefined, checkTemplate?: (spec: TaskSpec) => string | undefined): void {
  switch (task?.runtime.case) {
    case undefined:
      throw invalidArgument('TaskSpec: missing runtime');
    case 'container': {
      const problem = checkTemplate?.(task);
      if (problem !== undefined) throw invalidArgument(problem);
      return validateContainer(task.runtime.value);
    }
    case 'generic':
      return validateGenericRuntime(task.runtime.value);
    case 'attachment':
      throw unimplemented('RuntimeSpec: unimplemented runtime in service spec');
  }
}

function validateResources(resources: Resources | undefined): void {
  if (resources === undefined) return;
  const { nanoCpus, memoryBytes, generic } = resources;
  if (nanoCpus !== 0n && nanoCpus < NANO_CPUS_MIN) {
    throw invalidArgument(`invalid cpu value ${goFloat(Number(nanoCpus) / 1e9)}: Must be at least 0.001`);
  }
  if (memoryBytes !== 0n && memoryBytes < MEMORY_BYTES_MIN) {
    throw invalidArgument(`invalid memory value ${memoryBytes}: Must be at least 4MiB`);
  }
  for (const resource of generic) {
    // A task asks for a number of units; which ones it gets is the scheduler's choice.
    if (resource.resource.case !== 'discreteResourceSpec') {
      throw invalidArgument(`invalid argument for resource ${resourceKind(resource)}`);
    }
    if (resource.resource.value.value < 0n) {
      throw invalidArgument(`invalid argument for resource ${resourceKind(resource)}: the number cannot be negative`);
    }
  }
}

/** As Go prints a float with %g: exponents below 1e-4 and from 1e6 on, of two digits at least. */
function goFloat(value: number): string {
  const exponent = Number(value.toExponential().split('e')[1]);
  if (exponent >= -4 && exponent < 6) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

function validateRestart(restart: RestartPolicy | undefined): void {
  validateNotNegative('restart.delay', restart?.delay, 'TaskSpec: restart-delay cannot be negative');
  validateNotNegative('restart.window', restart?.window, 'TaskSpec: restart-window cannot be negative');
}

function validateGenericRuntime(generic: GenericRuntimeSpec): void {
  const { kind, payload } = generic;
  if (kind.length < KIND_LENGTH_MIN) throw invalidArgument(`Generic runtime: Invalid name ${JSON.stringify(kind)}`);
  if (RESERVED_KINDS.includes(kind.toLowerCase())) {
    throw invalidArgument(`Generic runtime: ${JSON.stringify(kind)} is a reserved name`);
  }
  if (payload === undefined) throw invalidArgument('Generic runtime is missing payload');
  if (payload.typeUrl === '') throw invalidArgument('Generic runtime is missing payload type');
  if (payload.value.length === 0) throw invalidArgument('Generic runtime has an empty payload');
}
