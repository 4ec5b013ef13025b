import { create } from '@bufbuild/protobuf';

import {
  AnnotationsSchema,
  type Config,
  type ConfigSpec,
  type Secret,
  type SecretSpec,
  type Service,
  type Version,
} from '../../api/index.js';
import { counted, invalidArgument } from './errors.js';

/**
 * A secret or config with the labels of the new spec, which is all that an update may change. The data may
 * be sent along if it is the same: stack deployments rely on that.
 */
export function relabelled<T extends Secret | Config>(old: T, spec: SecretSpec | ConfigSpec, version: Version): T {
  const present = old.spec;
  const annotations = present?.annotations ?? create(AnnotationsSchema);
  const sameData = spec.data.length === 0 || sameBytes(spec.data, present?.data ?? new Uint8Array());
  if (annotations.name !== (spec.annotations?.name ?? '') || !sameData) {
    throw invalidArgument('only updates to Labels are allowed');
  }
  if (old.meta === undefined || present === undefined) throw invalidArgument();
  const labels = spec.annotations?.labels ?? {};
  return { ...old, meta: { ...old.meta, version }, spec: { ...present, annotations: { ...annotations, labels } } };
}

/** Refuses to remove what services refer to. */
export function checkUnused(kind: 'secret' | 'config', payload: Secret | Config, users: readonly Service[]): void {
  if (users.length === 0) return;
  const names = users.map((service) => service.spec?.annotations?.name ?? '').join(', ');
  const name = payload.spec?.annotations?.name ?? '';
  throw invalidArgument(`${kind} '${name}' is in use by the following ${counted('service', users.length)}: ${names}`);
}

/** Takes as long for any two arrays of the same length, so that timing tells nothing of a secret. */
function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at++) difference |= (one[at] ?? 0) ^ (other[at] ?? 0);
  return difference === 0;
}
