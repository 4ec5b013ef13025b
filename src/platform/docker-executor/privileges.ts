import { Privileges_AppArmorOpts_AppArmorMode, Privileges_SeccompOpts_SeccompMode } from '../../api/index.js';
import type { Privileges } from '../../api/index.js';

/** Security options of a container, as the engine takes them. Source: engine-api E-417. */
export function securityOptions(privileges: Privileges | undefined): string[] {
  if (privileges === undefined) return [];
  const { credentialSpec, selinuxContext, seccomp, apparmor, noNewPrivileges } = privileges;
  const options: string[] = [];
  if (credentialSpec?.source.case !== undefined) {
    options.push(`credentialspec=${credentialSpec.source.case}://${credentialSpec.source.value}`);
  }
  if (selinuxContext?.disable === true) options.push('label=disable');
  for (const field of ['user', 'role', 'level', 'type'] as const) {
    const value = selinuxContext?.[field] ?? '';
    if (value !== '') options.push(`label=${field}:${value}`);
  }
  if (seccomp?.mode === Privileges_SeccompOpts_SeccompMode.UNCONFINED) options.push('seccomp=unconfined');
  if (seccomp?.mode === Privileges_SeccompOpts_SeccompMode.CUSTOM) {
    options.push(`seccomp=${new TextDecoder().decode(seccomp.profile)}`);
  }
  if (apparmor?.mode === Privileges_AppArmorOpts_AppArmorMode.DISABLED) options.push('apparmor=unconfined');
  if (noNewPrivileges) options.push('no-new-privileges=true');
  return options;
}
