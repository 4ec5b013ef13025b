import type { Duration } from '@bufbuild/protobuf/wkt';

import { parseImageReference, type ContainerSpec, type HealthConfig, type Mount } from '../../api/index.js';
import { isSwarmError } from '../../base/index.js';
import { invalidArgument } from './errors.js';
import { validDurationNs } from './validate-duration.js';

/** Shortest health check timing other than 0 (= inherit): 1 ms. Source: SwarmKit. */
const HEALTH_DURATION_MIN_NS = 1_000_000n;

/** What a container spec must fulfil, templates aside. */
export function validateContainer(container: ContainerSpec): void {
  validateImage(container.image);
  validateMounts(container.mounts);
  if (container.healthcheck !== undefined) validateHealthcheck(container.healthcheck);
}

function validateImage(image: string): void {
  if (image === '') throw invalidArgument('ContainerSpec: image reference must be provided');
  try {
    parseImageReference(image);
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    throw invalidArgument(`ContainerSpec: ${JSON.stringify(image)} is not a valid repository/tag`);
  }
}

function validateMounts(mounts: readonly Mount[]): void {
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalidArgument(`ContainerSpec: duplicate mount point: ${target}`);
    targets.add(target);
  }
}

function validateHealthcheck(health: HealthConfig): void {
  validateHealthDuration('Interval', health.interval);
  validateHealthDuration('Timeout', health.timeout);
  validateHealthDuration('StartPeriod', health.startPeriod);
  validateHealthDuration('StartInterval', health.startInterval);
  if (health.retries < 0) throw invalidArgument('ContainerSpec: Retries in HealthConfig cannot be negative');
}

function validateHealthDuration(name: string, duration: Duration | undefined): void {
  if (duration === undefined) return;
  const ns = validDurationNs(`HealthConfig.${name}`, duration);
  if (ns !== 0n && ns < HEALTH_DURATION_MIN_NS) {
    throw invalidArgument(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`);
  }
}
