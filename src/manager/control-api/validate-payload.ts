import type { ConfigSpec, SecretSpec } from '../../api/index.js';
import { invalidArgument } from './errors.js';
import { validatePayloadAnnotations } from './validate-annotations.js';

/** A secret's data is shorter than this (500 KiB), in bytes. Source: SwarmKit. */
const SECRET_BYTES_LIMIT = 500 * 1024;

/** A config's data is shorter than this (1,000 KiB), in bytes. Source: SwarmKit. */
const CONFIG_BYTES_LIMIT = 1000 * 1024;

/** Refuses a secret that may not be created. */
export function validateSecretSpec(spec: SecretSpec | undefined): asserts spec is SecretSpec {
  if (spec === undefined) throw invalidArgument();
  validatePayloadAnnotations(spec.annotations);
  if (spec.driver === undefined) validateData('secret', spec.data, SECRET_BYTES_LIMIT);
  else if (spec.driver.name === '') throw invalidArgument('secret driver must have a name');
}

/** Refuses a config that may not be created. */
export function validateConfigSpec(spec: ConfigSpec | undefined): asserts spec is ConfigSpec {
  if (spec === undefined) throw invalidArgument();
  validatePayloadAnnotations(spec.annotations);
  validateData('config', spec.data, CONFIG_BYTES_LIMIT);
}

function validateData(kind: string, data: Uint8Array, limit: number): void {
  if (data.length === 0 || data.length >= limit) {
    throw invalidArgument(`${kind} data must be larger than 0 and less than ${limit} bytes`);
  }
}
