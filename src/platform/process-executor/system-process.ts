import { readFileSync } from 'node:fs';

import { errorCode, isMissing } from './files.js';

/** A process of this machine that cannot be mistaken for a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and its start. */
  readonly startTime: string;
  readonly bootId: string;
}

/** The identity of a process that lives; undefined when there is none (a zombie is none). */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name may hold blanks and parentheses; fields are counted from behind it. Source: proc(5).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const startTime = fields[19];
    if (state === 'Z' || state === 'X' || startTime === undefined) return undefined;
    return { pid, startTime, bootId: bootId() };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether this very process still lives. */
export function isAlive(identity: ProcessIdentity): boolean {
  const present = identify(identity.pid);
  return present?.startTime === identity.startTime && present.bootId === identity.bootId;
}

/** Whether the machine was started anew since; no process of before is left then. */
export function isOfEarlierBoot(identity: ProcessIdentity): boolean {
  return identity.bootId !== bootId();
}

/** Signals a process group. Returns false when nobody is in it. */
export function signalGroup(pid: number, signal: number): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
    throw error;
  }
}

/** Names the time since the machine was last started. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
