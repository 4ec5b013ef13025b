import type { Annotations } from '../../api/index.js';
import { invalidArgument } from './errors.js';

/** A DNS label. Source: RFC 1035. */
const OBJECT_NAME_LENGTH_MAX = 63;

/** Source: SwarmKit. */
const PAYLOAD_NAME_LENGTH_MAX = 64;

const OBJECT_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?$/;
const PAYLOAD_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?$/;

/** Names of services and networks. */
export function validateAnnotations(annotations: Annotations | undefined): void {
  const name = annotations?.name ?? '';
  if (name === '') throw invalidArgument('meta: name must be provided');
  if (!OBJECT_NAME.test(name)) throw invalidArgument('name must be valid as a DNS name component');
  if (name.length > OBJECT_NAME_LENGTH_MAX) throw invalidArgument('name must be 63 characters or fewer');
}

/** Names of secrets and configs. */
export function validatePayloadAnnotations(annotations: Annotations | undefined): void {
  const name = annotations?.name ?? '';
  if (name === '') throw invalidArgument('name must be provided');
  if (name.length > PAYLOAD_NAME_LENGTH_MAX || !PAYLOAD_NAME.test(name)) {
    throw invalidArgument(
      'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
    );
  }
}
