import { create } from '@bufbuild/protobuf';

import {
  ConfigReferenceSchema,
  ContainerSpec_DNSConfigSchema,
  ContainerSpec_Isolation,
  ContainerSpec_UlimitSchema,
  ContainerSpecSchema,
  FileTargetSchema,
  HealthConfigSchema,
  Mount_BindOptions_Propagation,
  Mount_BindOptionsSchema,
  Mount_TmpfsOptionsSchema,
  Mount_Type,
  Mount_VolumeOptionsSchema,
  MountSchema,
  Privileges_AppArmorOpts_AppArmorMode,
  Privileges_AppArmorOptsSchema,
  Privileges_CredentialSpecSchema,
  Privileges_SeccompOpts_SeccompMode,
  Privileges_SeccompOptsSchema,
  Privileges_SELinuxContextSchema,
  PrivilegesSchema,
  RuntimeTargetSchema,
  SecretReferenceSchema,
  type ConfigReference,
  type FileTarget,
  type Mount_TmpfsOptions,
  type Privileges_CredentialSpec,
  type SecretReference,
} from '../../api/index.js';
import { ApiError, checkJsonSyntax, parseJson, type JsonObject, type JsonValue } from '../http/index.js';
import {
  bytes,
  duration,
  flag,
  int32,
  int64,
  list,
  message,
  optional,
  optionalFlag,
  plainDuration,
  text,
  textMap,
  texts,
  uint32,
  word,
  type Codec,
  type MessageCodec,
} from './codec.js';
import { driver } from './common.js';

const BIND_OPTION_FLAGS = ['NonRecursive', 'CreateMountpoint', 'ReadOnlyNonRecursive', 'ReadOnlyForceRecursive'];

const bindOptions = message(Mount_BindOptionsSchema, (field) => [
  field(
    'Propagation',
    'propagation',
    word(
      [
        ['rprivate', Mount_BindOptions_Propagation.RPRIVATE],
        ['private', Mount_BindOptions_Propagation.PRIVATE],
        ['rshared', Mount_BindOptions_Propagation.RSHARED],
        ['shared', Mount_BindOptions_Propagation.SHARED],
        ['rslave', Mount_BindOptions_Propagation.RSLAVE],
        ['slave', Mount_BindOptions_Propagation.SLAVE],
      ],
      (given) => `invalid MountPropagation: ${JSON.stringify(given)}`,
    ),
  ),
  field('NonRecursive', 'nonrecursive', flag),
  field('CreateMountpoint', 'createmountpoint', flag),
  field('ReadOnlyNonRecursive', 'readonlynonrecursive', flag),
  field('ReadOnlyForceRecursive', 'readonlyforcerecursive', flag),
]);

function saysSomething(json: JsonObject): boolean {
  return json.string('Propagation') !== '' || BIND_OPTION_FLAGS.some((flagName) => json.boolean(flagName));
}

const volumeOptions = message(Mount_VolumeOptionsSchema, (field) => [
  field('NoCopy', 'nocopy', flag),
  field('Labels', 'labels', textMap),
  field('Subpath', 'subpath', text),
  field('DriverConfig', 'driverConfig', optional(driver)),
]);

/** Options travel as a list of `[key]` and `[key, value]` in JSON, and as that JSON text in the protocol. */
const tmpfsOptions: MessageCodec<Mount_TmpfsOptions> = {
  fromJson: (json) =>
    create(Mount_TmpfsOptionsSchema, {
      sizeBytes: json.integer('SizeBytes'),
      mode: json.unsigned32('Mode'),
      options: json.has('Options') ? JSON.stringify(json.stringLists('Options')) : '',
    }),
  toJson: (value) => ({
    ...(value.sizeBytes === 0n ? {} : { SizeBytes: value.sizeBytes }),
    ...(value.mode === 0 ? {} : { Mode: value.mode }),
    ...tmpfsOptionList(value.options),
  }),
};

/** Options that other managers stored in a form of their own are left out. */
function tmpfsOptionList(options: string): { readonly Options?: JsonValue } {
  const parsed = checkJsonSyntax(options).kind === 'value' ? parseJson(options) : null;
  return Array.isArray(parsed) && parsed.length > 0 ? { Options: parsed as JsonValue } : {};
}

const mount = message(MountSchema, (field) => [
  field(
    'Type',
    'type',
    word(
      [
        ['bind', Mount_Type.BIND],
        ['volume', Mount_Type.VOLUME],
        ['tmpfs', Mount_Type.TMPFS],
        ['npipe', Mount_Type.NPIPE],
        ['cluster', Mount_Type.CLUSTER],
      ],
      (given) => `invalid MountType: ${JSON.stringify(given)}`,
    ),
  ),
  field('Source', 'source', text),
  field('Target', 'target', text),
  field('ReadOnly', 'readonly', flag),
  field('BindOptions', 'bindOptions', {
    ...optional(bindOptions),
    // Options that say nothing are none.
    decode: (json, key) => {
      const given = json.object(key);
      return given === undefined || !saysSomething(given) ? undefined : bindOptions.fromJson(given);
    },
  }),
  field('VolumeOptions', 'volumeOptions', optional(volumeOptions)),
  field('TmpfsOptions', 'tmpfsOptions', optional(tmpfsOptions)),
]);

/** Health checks of services and containers alike. */
export const healthcheck = message(HealthConfigSchema, (field) => [
  field('Test', 'test', texts),
  field('Interval', 'interval', plainDuration),
  field('Timeout', 'timeout', plainDuration),
  field('StartPeriod', 'startPeriod', plainDuration),
  field('StartInterval', 'startInterval', plainDuration),
  field('Retries', 'retries', int32),
]);

const dnsConfig = message(ContainerSpec_DNSConfigSchema, (field) => [
  field('Nameservers', 'nameservers', texts),
  field('Search', 'search', texts),
  field('Options', 'options', texts),
]);

const ulimit = message(ContainerSpec_UlimitSchema, (field) => [
  field('Name', 'name', text, 'keep'),
  field('Soft', 'soft', int64, 'keep'),
  field('Hard', 'hard', int64, 'keep'),
]);

const fileTarget: MessageCodec<FileTarget> = message(FileTargetSchema, (field) => [
  field('Name', 'name', text, 'keep'),
  field('UID', 'uid', text, 'keep'),
  field('GID', 'gid', text, 'keep'),
  field('Mode', 'mode', uint32, 'keep'),
]);

const secretReference: MessageCodec<SecretReference> = {
  fromJson: (json) => {
    const file = json.object('File');
    return create(SecretReferenceSchema, {
      secretId: json.string('SecretID'),
      secretName: json.string('SecretName'),
      target: file === undefined ? { case: undefined } : { case: 'file', value: fileTarget.fromJson(file) },
    });
  },
  toJson: ({ secretId, secretName, target }) => ({
    ...(target.case === 'file' ? { File: fileTarget.toJson(target.value) } : {}),
    SecretID: secretId,
    SecretName: secretName,
  }),
};

const configReference: MessageCodec<ConfigReference> = {
  fromJson: (json) =>
    create(ConfigReferenceSchema, {
      configId: json.string('ConfigID'),
      configName: json.string('ConfigName'),
      target: configTarget(json),
    }),
  toJson: ({ configId, configName, target }) => ({
    ...(target.case === 'file' ? { File: fileTarget.toJson(target.value) } : {}),
    ...(target.case === 'runtime' ? { Runtime: {} } : {}),
    ConfigID: configId,
    ConfigName: configName,
  }),
};

function configTarget(json: JsonObject): ConfigReference['target'] {
  const file = json.object('File');
  if (file !== undefined && json.has('Runtime')) {
    throw new ApiError('invalid-parameter', 'invalid Config: cannot specify both File and Runtime');
  }
  if (file !== undefined) return { case: 'file', value: fileTarget.fromJson(file) };
  if (json.has('Runtime')) return { case: 'runtime', value: create(RuntimeTargetSchema) };
  throw noConfigTarget();
}

/** The refusal of a config reference that says nothing of where the config goes. */
export function noConfigTarget(): ApiError {
  return new ApiError('invalid-parameter', 'invalid Config: either File or Runtime should be set');
}

/** The refusal of a credential spec that names no source. */
export function noCredentialSource(): ApiError {
  return new ApiError(
    'invalid-parameter',
    'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
  );
}

const credentialSpec: MessageCodec<Privileges_CredentialSpec> = {
  fromJson: (json) => {
    const given = (['Config', 'File', 'Registry'] as const).filter((key) => json.string(key) !== '');
    if (given.length === 0) throw noCredentialSource();
    if (given.length > 1) {
      const words = given.map((key) => JSON.stringify(key.toLowerCase()));
      const both = words.length === 2 ? words.join(' and ') : `${words.slice(0, -1).join(', ')}, and ${words.at(-1)}`;
      throw new ApiError('invalid-parameter', `invalid CredentialSpec: cannot specify both ${both} credential specs`);
    }
    const [key] = given as ['Config' | 'File' | 'Registry'];
    const source = { case: key.toLowerCase() as 'config' | 'file' | 'registry', value: json.string(key) };
    return create(Privileges_CredentialSpecSchema, { source });
  },
  toJson: ({ source }) => ({
    Config: source.case === 'config' ? source.value : '',
    File: source.case === 'file' ? source.value : '',
    Registry: source.case === 'registry' ? source.value : '',
  }),
};

const seLinuxContext = message(Privileges_SELinuxContextSchema, (field) => [
  field('Disable', 'disable', flag, 'keep'),
  field('User', 'user', text, 'keep'),
  field('Role', 'role', text, 'keep'),
  field('Type', 'type', text, 'keep'),
  field('Level', 'level', text, 'keep'),
]);

const seccomp = message(Privileges_SeccompOptsSchema, (field) => [
  field(
    'Mode',
    'mode',
    word(
      [
        ['default', Privileges_SeccompOpts_SeccompMode.DEFAULT],
        ['unconfined', Privileges_SeccompOpts_SeccompMode.UNCONFINED],
        ['custom', Privileges_SeccompOpts_SeccompMode.CUSTOM],
      ],
      (given) => `unrecognized seccomp option mode ${JSON.stringify(given)}`,
    ),
  ),
  field('Profile', 'profile', bytes),
]);

const appArmor = message(Privileges_AppArmorOptsSchema, (field) => [
  field(
    'Mode',
    'mode',
    word(
      [
        ['default', Privileges_AppArmorOpts_AppArmorMode.DEFAULT],
        ['disabled', Privileges_AppArmorOpts_AppArmorMode.DISABLED],
      ],
      (given) => `unrecognized AppArmor option mode ${JSON.stringify(given)}`,
    ),
  ),
]);

const privileges = message(PrivilegesSchema, (field) => [
  field('CredentialSpec', 'credentialSpec', optional(credentialSpec), 'null'),
  field('SELinuxContext', 'selinuxContext', optional(seLinuxContext), 'null'),
  field('Seccomp', 'seccomp', optional(seccomp)),
  field('AppArmor', 'apparmor', optional(appArmor)),
  field('NoNewPrivileges', 'noNewPrivileges', flag),
]);

/** References without a target, which only other clients can have stored, are not shown. */
function withTarget<T extends SecretReference | ConfigReference>(references: Codec<T[]>): Codec<T[]> {
  return {
    ...references,
    encode: (value) => references.encode(value.filter(({ target }) => target.case !== undefined)),
  };
}

/** The container part of a service's task template. */
export const containerSpec = message(ContainerSpecSchema, (field) => [
  field('Image', 'image', text),
  field('Labels', 'labels', textMap),
  field('Command', 'command', texts),
  field('Args', 'args', texts),
  field('Hostname', 'hostname', text),
  field('Env', 'env', texts),
  field('Dir', 'dir', text),
  field('User', 'user', text),
  field('Groups', 'groups', texts),
  field('Privileges', 'privileges', optional(privileges)),
  field('Init', 'init', optionalFlag),
  field('StopSignal', 'stopSignal', text),
  field('TTY', 'tty', flag),
  field('OpenStdin', 'openStdin', flag),
  field('ReadOnly', 'readOnly', flag),
  field('Mounts', 'mounts', list(mount)),
  field('StopGracePeriod', 'stopGracePeriod', duration),
  field('Healthcheck', 'healthcheck', optional(healthcheck)),
  field('Hosts', 'hosts', texts),
  field('DNSConfig', 'dnsConfig', optional(dnsConfig)),
  field('Secrets', 'secrets', withTarget(list(secretReference))),
  field('Configs', 'configs', withTarget(list(configReference))),
  field(
    'Isolation',
    'isolation',
    word([
      ['default', ContainerSpec_Isolation.DEFAULT],
      ['process', ContainerSpec_Isolation.PROCESS],
      ['hyperv', ContainerSpec_Isolation.HYPERV],
    ]),
  ),
  field('Sysctls', 'sysctls', textMap),
  field('CapabilityAdd', 'capabilityAdd', texts),
  field('CapabilityDrop', 'capabilityDrop', texts),
  field('Ulimits', 'ulimits', list(ulimit)),
  field('OomScoreAdj', 'oomScoreAdj', int64),
]);
