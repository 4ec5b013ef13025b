import { describe, expect, test } from 'vitest';

import { ApiError } from '../http/index.js';
import {
  checkAddressPools,
  completeAddress,
  resolveAdvertiseAddress,
  resolveDataPathAddress,
  resolveDataPathPort,
  resolveListenAddress,
  resolveLocalAddress,
  type HostInterface,
} from './addresses.js';

const one = (name: string, addresses: readonly string[], changes: Partial<HostInterface> = {}): HostInterface => ({
  name,
  up: true,
  loopback: false,
  physical: false,
  managed: false,
  addresses,
  ...changes,
});

const LOOPBACK = one('lo', ['127.0.0.1', '::1'], { loopback: true });
const ETH0 = one('eth0', ['192.0.2.10'], { physical: true });

/** Status and text of a refusal. */
function refusal(action: () => unknown): readonly [number, string] {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError) return [error.status, error.message];
    throw error;
  }
  throw new Error('it was not refused');
}

describe('an address is completed as Docker does (E-331)', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0:2377'],
    ['0.0.0.0:4000', '0.0.0.0:4000'],
    ['eth0', 'eth0:2377'],
    ['eth0:4000', 'eth0:4000'],
    [':4000', '0.0.0.0:4000'],
    ['tcp://192.0.2.10:4000', '192.0.2.10:4000'],
    ['tcp://192.0.2.10', '192.0.2.10:2377'],
    ['192.0.2.10:', '192.0.2.10:2377'],
    ['192.0.2.10:0', '192.0.2.10:2377'],
    ['[::1]:4000', '[::1]:4000'],
    ['[::1]', '[::1]:2377'],
    ['::1', '[::1]:2377'],
    ['::', '[::]:2377'],
    ['::ffff:192.0.2.1', '[::ffff:192.0.2.1]:2377'],
  ])('%s becomes %s', (given, completed) => {
    expect(completeAddress(given, 'ListenAddr')).toBe(completed);
  });

  test.each(['http://192.0.2.10:2377', '[::1', '192.0.2.10:port', 'a:b:c', '192.0.2.10/x'])(
    '%s stays as it is',
    (given) => {
      expect(completeAddress(given, 'ListenAddr')).toBe(given);
    },
  );

  test('an empty one is refused by the name of its field', () => {
    expect(refusal(() => completeAddress('', 'remoteAddr'))).toEqual([
      400,
      'invalid remoteAddr "": invalid empty address',
    ]);
  });
});

describe('the listen address (E-331)', () => {
  test.each([
    ['0.0.0.0:2377', { host: '0.0.0.0', port: 2377 }],
    ['192.0.2.99:1', { host: '192.0.2.99', port: 1 }],
    ['eth0:2377', { host: '192.0.2.10', port: 2377 }],
    ['[::]:2377', { host: '::', port: 2377 }],
  ])('%s is resolved', (given, resolved) => {
    expect(resolveListenAddress(given, [LOOPBACK, ETH0])).toEqual(resolved);
  });

  test.each(['[::1', '192.0.2.10:port', '192.0.2.10:70000', 'eth0'])('%s cannot be parsed', (given) => {
    expect(refusal(() => resolveListenAddress(given, [ETH0]))).toEqual([
      400,
      `could not parse listen address ${given}`,
    ]);
  });

  test('what is neither address nor interface is refused', () => {
    expect(refusal(() => resolveListenAddress('nowhere:2377', [ETH0]))).toEqual([
      400,
      'listen address must be an IP address or network interface (with optional port number)',
    ]);
  });
});

describe('the advertise address (E-332)', () => {
  const resolve = (given: string, byDefault = ''): unknown =>
    resolveAdvertiseAddress(given, byDefault, 2377, [LOOPBACK, ETH0]);

  test.each([
    ['eth0', { host: '192.0.2.10', port: 2377 }],
    ['eth0:99', { host: '192.0.2.10', port: 99 }],
    ['198.51.100.1', { host: '198.51.100.1', port: 2377 }],
    ['198.51.100.1:99', { host: '198.51.100.1', port: 99 }],
    ['', { host: '192.0.2.10', port: 2377 }],
  ])('%s is resolved', (given, resolved) => {
    expect(resolve(given)).toEqual(resolved);
  });

  test.each(['nowhere', '0.0.0.0', '0.0.0.0:2377', '::', '198.51.100.1:2377:1'])('%s is refused', (given) => {
    expect(refusal(() => resolve(given))).toEqual([
      400,
      'advertise address must be a non-zero IP address or network interface (with optional port number)',
    ]);
  });

  test('the default of the daemon is taken before the host is searched', () => {
    expect(resolve('', '198.51.100.7')).toEqual({ host: '198.51.100.7', port: 2377 });
    expect(resolve('', 'eth0')).toEqual({ host: '192.0.2.10', port: 2377 });
    expect(refusal(() => resolve('', 'nowhere'))).toEqual([
      400,
      'default advertise address must be a non-zero IP address or network interface (without a port number)',
    ]);
  });
});

describe("the host's own address (E-333)", () => {
  const detect = (...interfaces: readonly HostInterface[]): string =>
    resolveAdvertiseAddress('', '', 2377, [LOOPBACK, ...interfaces]).host;

  test('is the only global one', () => {
    expect(detect(one('eth0', ['fe80::1', '169.254.1.1', '192.0.2.10']))).toBe('192.0.2.10');
    expect(detect(one('eth0', ['2001:db8::1', '192.0.2.10']))).toBe('192.0.2.10');
    expect(detect(one('eth0', ['2001:db8::1']))).toBe('2001:db8::1');
  });

  test('is that of a physical interface where there is one', () => {
    expect(detect(one('wg0', ['198.51.100.1']), ETH0, one('br-1', ['10.0.0.1'], { managed: true }))).toBe('192.0.2.10');
  });

  test('is searched on virtual interfaces that no engine made where none is physical', () => {
    expect(detect(one('eth0', ['192.0.2.10']), one('docker0', ['172.17.0.1'], { managed: true }))).toBe('192.0.2.10');
    expect(detect(one('eth1', [], { physical: true }), one('eth0', ['192.0.2.10']))).toBe('192.0.2.10');
  });

  test.each([
    ['none', []],
    ['one that is down', [one('eth0', ['192.0.2.10'], { up: false })]],
    ['one made by an engine', [one('docker0', ['172.17.0.1'], { managed: true })]],
    ['only link-local addresses', [one('eth0', ['fe80::1', '169.254.1.1'], { physical: true })]],
    ['a multicast address', [one('eth0', ['224.0.0.1', 'ff02::1'])]],
  ])('is not found with %s', (_what, interfaces) => {
    expect(refusal(() => detect(...interfaces))).toEqual([400, "could not find the system's IP address"]);
  });

  test('is not chosen among several', () => {
    const start = 'could not choose an IP address to advertise since this system has';
    expect(refusal(() => detect(one('eth0', ['192.0.2.1', '192.0.2.2'])))).toEqual([
      400,
      `${start} multiple addresses on interface eth0 (192.0.2.1 and 192.0.2.2)`,
    ]);
    expect(refusal(() => detect(one('eth0', ['2001:db8::1', '2001:db8::2'])))).toEqual([
      400,
      `${start} multiple addresses on interface eth0 (2001:db8::1 and 2001:db8::2)`,
    ]);
    expect(refusal(() => detect(one('eth0', ['192.0.2.1']), one('eth1', ['192.0.2.2'])))).toEqual([
      400,
      `${start} multiple addresses on different interfaces (192.0.2.1 on eth0 and 192.0.2.2 on eth1)`,
    ]);
  });
});

describe('an interface stands for its only address (E-334)', () => {
  const listen = (...addresses: readonly string[]): string => resolveListenAddress('x0:1', [one('x0', addresses)]).host;

  test('version 4 before version 6', () => {
    expect(listen('2001:db8::1', '192.0.2.1')).toBe('192.0.2.1');
    expect(listen('fe80::1')).toBe('fe80::1');
  });

  test('several of one version are refused', () => {
    expect(refusal(() => listen('192.0.2.1', '192.0.2.2'))).toEqual([
      400,
      'interface x0 has more than one IPv4 address (192.0.2.1 and 192.0.2.2)',
    ]);
    expect(refusal(() => listen('2001:db8::1', '2001:db8::2'))).toEqual([
      400,
      'interface x0 has more than one IPv6 address (2001:db8::1 and 2001:db8::2)',
    ]);
    expect(refusal(() => listen())).toEqual([400, 'interface x0 has no usable IPv4 or IPv6 address']);
  });
});

describe('the data path (E-335)', () => {
  test('has an address without a port, or none', () => {
    expect(resolveDataPathAddress('', [ETH0])).toBe('');
    expect(resolveDataPathAddress('eth0', [ETH0])).toBe('192.0.2.10');
    for (const given of ['nowhere', '0.0.0.0', '192.0.2.10:4789']) {
      expect(refusal(() => resolveDataPathAddress(given, [ETH0]))).toEqual([
        400,
        'data path address must be a non-zero IP address or network interface (without a port number)',
      ]);
    }
  });

  test('has a port in the middle range, 4789 by default', () => {
    expect([0, 1024, 49_151].map(resolveDataPathPort)).toEqual([4789, 1024, 49_151]);
    for (const port of [80, 1023, 49_152]) {
      expect(refusal(() => resolveDataPathPort(port))).toEqual([
        500,
        `Datapath port number is not in valid range (1024-49151) : ${port}`,
      ]);
    }
  });
});

test('the local address is where the node listens, or is advertised, or the only one (E-336)', () => {
  expect(resolveLocalAddress('192.0.2.5', '198.51.100.1', [ETH0])).toBe('192.0.2.5');
  expect(resolveLocalAddress('0.0.0.0', '192.0.2.10', [ETH0])).toBe('192.0.2.10');
  expect(resolveLocalAddress('::', '198.51.100.1', [ETH0])).toBe('192.0.2.10');
  expect(refusal(() => resolveLocalAddress('0.0.0.0', '198.51.100.1', [LOOPBACK]))).toEqual([
    400,
    "must specify a listening address because the address to advertise is not recognized as a system address, and a system's IP address to use could not be uniquely identified",
  ]);
});

describe('address pools (E-337)', () => {
  test('are taken with a subnet size that fits', () => {
    for (const [pools, size] of [
      [undefined, 99],
      [[], 0],
      [['10.0.0.0/8', ' 192.168.0.0/16 '], 24],
      [['10.0.0.0/29'], 29],
    ] as const) {
      expect(() => checkAddressPools(pools, size)).not.toThrow();
    }
  });

  test.each([
    [[], 30, 'subnet size is out of range: 30'],
    [['10.0.0.0/8'], 30, 'subnet size is out of range: 30'],
    [['nonsense'], 0, 'invalid base pool nonsense: invalid CIDR address: nonsense'],
    [['10.0.0.0/33'], 0, 'invalid base pool 10.0.0.0/33: invalid CIDR address: 10.0.0.0/33'],
    [['10.0.0.0/28'], 0, 'invalid CIDR: "10.0.0.0/28". Subnet size is too small for pool: 24'],
    [['10.0.0.0/8', '10.0.0.0/16'], 12, 'invalid CIDR: "10.0.0.0/16". Subnet size is too small for pool: 12'],
  ])('%j with size %d are refused', (pools, size, text) => {
    expect(refusal(() => checkAddressPools(pools, size))).toEqual([500, text]);
  });
});
