import { execFileSync } from 'node:child_process';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { launchersOf } from './launchers.js';
import { probeScript, quote, runScript } from './run-script.js';
import { stopSignal } from './stop-signal.js';

const PLAN = {
  command: ['/bin/echo', "it's"],
  dir: '/some dir',
  launchers: [],
  environment: { A: '1' },
  cgroupFiles: ['/cg/procs'],
  oomScoreAdj: 0,
};
const FILES = { stdout: '/o', stderr: '/e', exit: '/x', main: '/m' };

describe('the script of a supervisor', () => {
  it('quotes every text so that a shell reads it back', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
    const read = (words: readonly string[]) =>
      execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${words.map(quote).join(' ')}`], { encoding: 'utf8' });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (words) => {
        expect(read(words).split('\0').slice(0, -1)).toEqual(words);
      }),
      { numRuns: 50 },
    );
  });

  it('enters its control groups and its directory before it runs the program', () => {
    const script = runScript(PLAN, FILES);
    const order = [
      "echo 0 >'/cg/procs'",
      "cd '/some dir'",
      "exec '/bin/echo' 'it'\\''s'",
      'echo "$?" >\'/x\'',
      'kill -9 0',
    ];
    const places = order.map((part) => script.indexOf(part));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
  });

  it('survives every signal that can be survived, and does nothing unless it is told to go', () => {
    const [first = '', second] = runScript(PLAN, FILES).split('\n');
    expect(first.split(' ')).toEqual(expect.arrayContaining(['1', '2', '15', '10', '64']));
    expect(first.split(' ')).not.toContain('9');
    expect(second).toBe('read -r go || exit 0');
  });

  it('brings variables whose names no shell can spell', () => {
    const script = probeScript({ ...PLAN, environment: { 'a.b': '1', GOOD: '2' }, launchers: ['/bin/nice'] });
    expect(script).toContain("exec '/bin/nice' '/usr/bin/env' 'a.b=1' '/bin/echo'");
    expect(script).not.toContain('GOOD');
  });
});

describe('launchers', () => {
  const find = (program: string) => `/usr/bin/${program}`;
  const account = { uid: 5, gid: 6, groups: [7, 8], home: '/' };

  it('are none where nothing is asked for', () => {
    expect(launchersOf({ account: undefined, noNewPrivileges: false, ulimits: [] }, find)).toEqual([]);
  });

  it('set limits before they give up the right to', () => {
    const ulimits = [
      { $typeName: 'docker.swarmkit.v1.ContainerSpec.Ulimit' as const, name: 'core', soft: -1n, hard: -1n },
    ];
    expect(launchersOf({ account, noNewPrivileges: true, ulimits }, find)).toEqual([
      '/usr/bin/prlimit',
      '--core=unlimited:unlimited',
      '/usr/bin/setpriv',
      '--reuid=5',
      '--regid=6',
      '--groups=7,8',
      '--no-new-privs',
    ]);
    expect(launchersOf({ account: { ...account, groups: [] }, noNewPrivileges: false, ulimits: [] }, find)).toContain(
      '--clear-groups',
    );
  });

  it('refuse a soft limit above the hard one', () => {
    const ulimits = [
      { $typeName: 'docker.swarmkit.v1.ContainerSpec.Ulimit' as const, name: 'nofile', soft: 2n, hard: 1n },
    ];
    expect(() => launchersOf({ account: undefined, noNewPrivileges: false, ulimits }, find)).toThrow('ulimits: nofile');
  });
});

describe('a stop signal', () => {
  it.each([
    ['', 15],
    ['SIGINT', 2],
    ['int', 2],
    ['9', 9],
    ['SIGRTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
    ['SIGRTMAX', 64],
  ])('%s is %i', (text, number) => expect(stopSignal(text)).toBe(number));

  it.each(['0', '65', 'SIGNO', 'RTMIN+40', 'RTMAX-40', '-1'])('%s is none', (text) => {
    expect(() => stopSignal(text)).toThrow(`stop_signal: invalid signal "${text}"`);
  });
});
