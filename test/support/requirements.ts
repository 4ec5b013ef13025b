import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';

import { describe, it } from 'vitest';

/** What a group of tests needs of the machine. */
export interface Requirements {
  /** To run as root. */
  readonly root?: boolean;
  /** A stock Docker engine, with a static busybox to make an image of. */
  readonly dockerd?: boolean;
  /** Network namespaces, and the tools to make them. */
  readonly netns?: boolean;
  /** At least one stock docker CLI. */
  readonly cli?: boolean;
}

/** Where stock engines and CLIs are looked for; both CLIs are used where there are two. */
const DOCKERD = '/usr/sbin/dockerd';
const BUSYBOX = '/bin/busybox';
const CLIS = ['/usr/bin/docker', '/usr/local/bin/docker'];

/** A docker CLI of this machine. */
export interface InstalledCli {
  readonly path: string;
  /** Such as 20.10.24. */
  readonly version: string;
}

/** The docker CLIs of this machine, one for each version. */
export function installedClis(): readonly InstalledCli[] {
  const found = CLIS.filter(isExecutable).map((path) => {
    const text = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 20_000 });
    return { path, version: /version (\d+\.\d+\.\d+)/.exec(text)?.[1] ?? text.trim() };
  });
  return found.filter(({ version }, at) => found.findIndex((cli) => cli.version === version) === at);
}

/** What is missing of the requirements, in words; empty where everything is there. */
export function missing(requirements: Requirements): readonly string[] {
  const reasons: string[] = [];
  if (requirements.root === true && process.getuid?.() !== 0) reasons.push('needs root');
  if (requirements.dockerd === true && !isExecutable(DOCKERD)) reasons.push(`needs ${DOCKERD} (Debian: docker.io)`);
  if (requirements.dockerd === true && !isExecutable(BUSYBOX))
    reasons.push(`needs ${BUSYBOX} (Debian: busybox-static)`);
  if (requirements.netns === true) reasons.push(...namespaceProblems());
  if (requirements.cli === true && !CLIS.some(isExecutable)) reasons.push(`needs a docker CLI (${CLIS.join(', ')})`);
  return reasons;
}

/**
 * `describe`, or on a machine that lacks something its skipping form, with the reason in the name and on
 * standard error. With CI=true what is missing fails the tests instead.
 */
export function requires(requirements: Requirements): (name: string, body: () => void) => void {
  const reasons = missing(requirements);
  if (reasons.length === 0) return (name, body) => void describe(name, body);
  const reason = reasons.join('; ');
  return (name, body) => {
    if (process.env['CI'] === 'true') {
      describe(name, () => {
        it('finds what it needs', () => {
          throw new Error(reason);
        });
      });
      return;
    }
    process.stderr.write(`skipped: ${name}: ${reason}\n`);
    describe.skip(`${name} (${reason})`, body);
  };
}

function namespaceProblems(): readonly string[] {
  const tools = ['ip', 'nsenter'].filter(
    (tool) => !['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((dir) => isExecutable(`${dir}/${tool}`)),
  );
  if (tools.length > 0) return tools.map((tool) => `needs the program ${tool}`);
  if (process.getuid?.() !== 0) return ['network namespaces need root'];
  return existsSync('/proc/self/ns/net') ? [] : ['the kernel has no network namespaces'];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
