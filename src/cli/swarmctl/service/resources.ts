import { create } from '@bufbuild/protobuf';

import {
  parseGenericResources,
  ResourceRequirementsSchema,
  ResourcesSchema,
  type GenericResource,
  type Resources,
  type TaskSpec,
} from '../../../api/index.js';
import { errorText } from '../../../base/index.js';
import { badValue } from '../usage-error.js';
import { parseCpus, parseSize } from '../values/amounts.js';
import type { ServiceFlags } from './flags.js';

/** The task with the limits and reservations that the flags name. */
export function withResources(task: TaskSpec, flags: ServiceFlags): TaskSpec {
  const limits = amounts(task.resources?.limits, {
    cpus: ['--cpu-limit', flags.cpuLimit],
    memory: ['--memory-limit', flags.memoryLimit],
  });
  const reservations = amounts(task.resources?.reservations, {
    cpus: ['--cpu-reservation', flags.cpuReservation],
    memory: ['--memory-reservation', flags.memoryReservation],
    generic: flags.genericResources,
  });
  if (limits === task.resources?.limits && reservations === task.resources?.reservations) return task;
  const resources = task.resources ?? create(ResourceRequirementsSchema);
  return {
    ...task,
    resources: {
      ...resources,
      ...(limits === undefined ? {} : { limits }),
      ...(reservations === undefined ? {} : { reservations }),
    },
  };
}

function amounts(
  present: Resources | undefined,
  given: {
    readonly cpus: readonly [flag: string, text: string | undefined];
    readonly memory: readonly [flag: string, text: string | undefined];
    readonly generic?: string | undefined;
  },
): Resources | undefined {
  const [cpuFlag, cpus] = given.cpus;
  const [memoryFlag, memory] = given.memory;
  if (cpus === undefined && memory === undefined && given.generic === undefined) return present;
  return {
    ...(present ?? create(ResourcesSchema)),
    ...(cpus === undefined ? {} : { nanoCpus: parseCpus(cpuFlag, cpus) }),
    ...(memory === undefined ? {} : { memoryBytes: parseSize(memoryFlag, memory) }),
    ...(given.generic === undefined ? {} : { generic: genericAmounts(given.generic) }),
  };
}

/** A task asks for numbers of units; which of them it gets is the scheduler's choice. */
function genericAmounts(text: string): GenericResource[] {
  const flag = '--generic-resources';
  const parsed = ((): readonly GenericResource[] => {
    try {
      return parseGenericResources(text);
    } catch (error) {
      throw badValue(flag, text, `${errorText(error)}; write kind=count, such as gpu=3,fpga=1`);
    }
  })();
  if (parsed.some(({ resource }) => resource.case !== 'discreteResourceSpec')) {
    throw badValue(flag, text, 'write a count for every kind, such as gpu=3,fpga=1');
  }
  return [...parsed];
}
