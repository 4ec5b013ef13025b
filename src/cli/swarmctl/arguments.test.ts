import { expect, test } from 'vitest';

import { normalizeSwitches } from './arguments.js';

const OPTIONS = [
  { long: '--tty', takesValue: false },
  { long: '--no-tty', takesValue: false },
  { long: '--force', short: '-f', takesValue: false },
  { long: '--args', short: '-a', takesValue: true },
];

test.each([
  [['--tty=true'], ['--tty']],
  [['--tty=false'], ['--no-tty']],
  [['--force=0'], []],
  [
    ['--force=1', 'x'],
    ['--force', 'x'],
  ],
  [['--force=maybe'], ['--force=maybe']],
  [
    ['--args', '--tty=true'],
    ['--args', '--tty=true'],
  ],
  [
    ['-a', '--tty=true', '--tty=true'],
    ['-a', '--tty=true', '--tty'],
  ],
  [['--args=--tty=true'], ['--args=--tty=true']],
  [
    ['--', '--tty=true'],
    ['--', '--tty=true'],
  ],
  [['--unknown=true'], ['--unknown=true']],
])('%j becomes %j', (given, expected) => {
  expect(normalizeSwitches(given, OPTIONS)).toEqual(expected);
});
