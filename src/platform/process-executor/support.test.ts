import { describe, expect, it } from 'vitest';

import {
  ContainerSpec_Isolation,
  Mount_Type,
  Privileges_AppArmorOpts_AppArmorMode,
  Privileges_SeccompOpts_SeccompMode,
} from '../../api/index.js';
import { shell, taskOf } from './process.test-helper.js';
import { checkSupported } from './support.js';

function bind(source: string, target: string, readonly = false) {
  return { mounts: [{ type: Mount_Type.BIND, source, target, readonly }] };
}

describe('the process executor', () => {
  it.each([
    ['tty', { tty: true }],
    ['read_only', { readOnly: true }],
    ['hosts', { hosts: ['10.0.0.1 a'] }],
    ['dns_config', { dnsConfig: { nameservers: ['10.0.0.1'] } }],
    ['isolation', { isolation: ContainerSpec_Isolation.PROCESS }],
    ['sysctls', { sysctls: { 'net.core.somaxconn': '1' } }],
    ['capability_add', { capabilityAdd: ['CAP_CHOWN'] }],
    ['capability_drop', { capabilityDrop: ['ALL'] }],
    ['mounts[0]', bind('/a', '/b')],
    ['mounts[0]', bind('/a', '/a', true)],
    ['mounts[0]', { mounts: [{ type: Mount_Type.VOLUME, source: 'v', target: '/v' }] }],
    ['configs.runtime', { configs: [{ configId: 'c', target: { case: 'runtime' as const, value: {} } }] }],
    [
      'privileges.credential_spec',
      { privileges: { credentialSpec: { source: { case: 'file' as const, value: 'f' } } } },
    ],
    ['privileges.selinux_context', { privileges: { selinuxContext: { user: 'u' } } }],
    ['privileges.seccomp', { privileges: { seccomp: { mode: Privileges_SeccompOpts_SeccompMode.CUSTOM } } }],
    ['privileges.apparmor', { privileges: { apparmor: { mode: Privileges_AppArmorOpts_AppArmorMode.DISABLED } } }],
  ])('refuses %s by name', (field, container) => {
    expect(() => checkSupported(shell('true', container))).toThrow(field);
  });

  it.each([
    ['resources.swap_bytes', { spec: { resources: { swapBytes: 1n } } }],
    ['resources.memory_swappiness', { spec: { resources: { memorySwappiness: 1n } } }],
    ['volumes', { volumes: [{ id: 'v' }] }],
    ['log_driver "syslog"', { logDriver: { name: 'syslog' } }],
    ['networks ("mynet")', { networks: [{ network: { spec: { annotations: { name: 'mynet' } } } }] }],
  ])('refuses %s by name', (field, fields) => {
    expect(() => checkSupported(shell('true', {}, fields))).toThrow(`${field}: not supported`);
  });

  it('takes what means nothing to a process but does no harm', () => {
    const container = {
      labels: { a: 'b' },
      init: true,
      openStdin: true,
      pullOptions: { registryAuth: 'x' },
      dnsConfig: {},
      privileges: { selinuxContext: {}, seccomp: {}, apparmor: {}, noNewPrivileges: true },
      ...bind('/same', '/same'),
    };
    const networks = [
      { network: { spec: { annotations: { name: 'ingress' }, ingress: true } } },
      { network: { spec: { annotations: { name: 'host' } } } },
    ];
    expect(() =>
      checkSupported(shell('true', container, { networks, logDriver: { name: 'json-file' } })),
    ).not.toThrow();
  });

  it('needs something to run', () => {
    expect(() => checkSupported(taskOf({ image: 'nginx' }))).toThrow('needs a command');
    expect(() => checkSupported(taskOf({ args: ['true'] }))).not.toThrow();
  });
});
