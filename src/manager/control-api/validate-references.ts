import type { ConfigReference, ContainerSpec, SecretReference } from '../../api/index.js';
import { invalidArgument } from './errors.js';

/** Secret references: complete, and no two in the same file. */
export function validateSecretReferences(container: ContainerSpec): void {
  const files = new Map<string, string>();
  for (const reference of container.secrets) {
    if (reference.secretId === '' || reference.secretName === '') throw invalidArgument('malformed secret reference');
    addTarget('secret', reference.secretName, reference.target, files);
  }
}

/** Config references: likewise; and the config that a credential spec names must be one of them. */
export function validateConfigReferences(container: ContainerSpec): void {
  const files = new Map<string, string>();
  for (const reference of container.configs) {
    if (reference.configId === '' || reference.configName === '') throw invalidArgument('malformed config reference');
    addTarget('config', reference.configName, reference.target, files);
  }
  validateCredentialSpec(container);
}

function addTarget(
  kind: 'secret' | 'config',
  name: string,
  target: SecretReference['target'] | ConfigReference['target'],
  files: Map<string, string>,
): void {
  if (target.case === undefined) throw invalidArgument(`malformed ${kind} reference, no target provided`);
  if (target.case !== 'file') return;
  const file = target.value.name;
  if (file === '') throw invalidArgument(`malformed file ${kind} reference, invalid target file name provided`);
  const other = files.get(file);
  if (other !== undefined) {
    throw invalidArgument(`${kind} references '${other}' and '${name}' have a conflicting target: '${file}'`);
  }
  files.set(file, name);
}

function validateCredentialSpec(container: ContainerSpec): void {
  const source = container.privileges?.credentialSpec?.source;
  if (source?.case !== 'config' || source.value === '') return;
  const known = container.configs.some(
    ({ configId, target }) => configId === source.value && target.case === 'runtime',
  );
  if (!known) {
    throw invalidArgument(
      `CredentialSpec references config '${source.value}', but that config isn't in config references with RuntimeTarget`,
    );
  }
}
