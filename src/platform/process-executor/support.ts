import {
  ContainerSpec_Isolation,
  Mount_Type,
  Privileges_AppArmorOpts_AppArmorMode,
  Privileges_SeccompOpts_SeccompMode,
} from '../../api/index.js';
import type { ContainerSpec, Mount, Privileges, Privileges_SELinuxContext, Task } from '../../api/index.js';
import { Code, SwarmError } from '../../base/index.js';
import { containerSpec } from '../../agent/exec/index.js';

/** Log drivers that mean something here. */
const LOG_DRIVERS: readonly string[] = ['', 'json-file', 'none'];
/** The one network that a process of the host is in. */
const HOST_NETWORK = 'host';

/**
 * Refuses a task that asks for what a process of the host cannot have, instead of running it without.
 * @throws SwarmError InvalidArgument that names the field.
 */
export function checkSupported(task: Task): void {
  const container = containerSpec(task);
  const field = unsupportedField(container) ?? unsupportedOfTask(task);
  if (field !== undefined) {
    throw new SwarmError(
      Code.INVALID_ARGUMENT,
      `${field}: not supported by the process executor, which runs a task as a process of the host`,
    );
  }
  if (container.command.length + container.args.length === 0) {
    throw new SwarmError(
      Code.INVALID_ARGUMENT,
      'command: the process executor needs a command (or args), because it pulls no image that could name one',
    );
  }
}

function unsupportedField(container: ContainerSpec): string | undefined {
  const dns = container.dnsConfig;
  const refused: readonly (readonly [string, boolean])[] = [
    ['tty', container.tty],
    ['read_only', container.readOnly],
    ['hosts', container.hosts.length > 0],
    ['dns_config', dns !== undefined && dns.nameservers.length + dns.search.length + dns.options.length > 0],
    ['isolation', container.isolation !== ContainerSpec_Isolation.DEFAULT],
    ['sysctls', Object.keys(container.sysctls).length > 0],
    ['capability_add', container.capabilityAdd.length > 0],
    ['capability_drop', container.capabilityDrop.length > 0],
  ];
  const field = refused.find(([, used]) => used)?.[0];
  if (field !== undefined) return field;
  const mount = container.mounts.findIndex((candidate) => !isSamePath(candidate));
  if (mount !== -1) return `mounts[${mount}] (only bind mounts, writable, whose target is their source)`;
  const runtimeReference = container.configs.some((reference) => reference.target.case === 'runtime');
  if (runtimeReference) return 'configs.runtime';
  return container.privileges === undefined ? undefined : unsupportedPrivilege(container.privileges);
}

function isSamePath({ type, source, target, readonly }: Mount): boolean {
  return type === Mount_Type.BIND && source === target && !readonly;
}

function unsupportedPrivilege(privileges: Privileges): string | undefined {
  const { credentialSpec, selinuxContext, seccomp, apparmor } = privileges;
  if (credentialSpec?.source.case !== undefined) return 'privileges.credential_spec';
  if (selinuxContext !== undefined && isSet(selinuxContext)) return 'privileges.selinux_context';
  if (seccomp?.mode === Privileges_SeccompOpts_SeccompMode.CUSTOM) return 'privileges.seccomp';
  if (apparmor !== undefined && apparmor.mode !== Privileges_AppArmorOpts_AppArmorMode.DEFAULT)
    return 'privileges.apparmor';
  return undefined;
}

function isSet({ disable, user, role, type, level }: Privileges_SELinuxContext): boolean {
  return disable || [user, role, type, level].some((text) => text !== '');
}

function unsupportedOfTask(task: Task): string | undefined {
  const { resources } = task.spec ?? {};
  if (resources?.swapBytes !== undefined) return 'resources.swap_bytes';
  if (resources?.memorySwappiness !== undefined) return 'resources.memory_swappiness';
  if (task.volumes.length > 0) return 'volumes';
  const driver = logDriverOf(task);
  if (!LOG_DRIVERS.includes(driver)) return `log_driver ${JSON.stringify(driver)}`;
  const network = task.networks.find(
    ({ network: attached }) =>
      attached?.spec !== undefined && !attached.spec.ingress && attached.spec.annotations?.name !== HOST_NETWORK,
  );
  return network === undefined
    ? undefined
    : `networks (${JSON.stringify(network.network?.spec?.annotations?.name ?? '')})`;
}

/** Name of the task's log driver; empty for the default. */
export function logDriverOf(task: Task): string {
  return task.logDriver?.name ?? task.spec?.logDriver?.name ?? '';
}
