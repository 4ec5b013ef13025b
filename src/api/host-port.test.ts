import { describe, expect, it } from 'vitest';

import { Code } from '../base/index.js';
import { joinHostPort, splitHostPort } from './host-port.js';

describe('host:port', () => {
  it.each([
    ['10.0.0.1:2377', '10.0.0.1', 2377],
    ['manager:0', 'manager', 0],
    [':65535', '', 65_535],
    ['[::1]:2377', '::1', 2377],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
  ])('takes %s apart and puts it together again', (addr, host, port) => {
    expect(splitHostPort(addr)).toEqual({ host, port });
    expect(joinHostPort(host, port)).toBe(addr);
  });

  it.each([
    '',
    'manager',
    '10.0.0.1:',
    '10.0.0.1:x',
    '10.0.0.1:65536',
    '10.0.0.1:-1',
    '::1:2377',
    '[::1]',
    '[::1:2',
    'a:1:2',
  ])('refuses %j', (addr) => {
    expect(() => splitHostPort(addr)).toThrow(expect.objectContaining({ code: Code.INVALID_ARGUMENT }));
  });
});
