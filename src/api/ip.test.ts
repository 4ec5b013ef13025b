import { expect, test } from 'vitest';

import { parseIp, parseSubnet, subnetContains, type IpAddress, type Subnet } from './ip.js';

test.each([
  '1.2.3',
  '256.1.1.1',
  '1.2.3.04',
  '',
  ':',
  ':::',
  '1::2::3',
  '12345::',
  'g::',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
])('%s is no address', (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test.each([
  ['0.0.0.0', 4, 0n],
  ['255.255.255.255', 4, 0xffffffffn],
  ['::', 6, 0n],
  ['::1', 6, 1n],
  ['fe80::1:0', 6, (0xfe80n << 112n) | 0x10000n],
  ['1:2:3:4:5:6:7:8', 6, 0x00010002000300040005000600070008n],
  ['::ffff:1.2.3.4', 4, 0x01020304n],
  ['64:ff9b::1.2.3.4', 6, (0x64n << 112n) | (0xff9bn << 96n) | 0x01020304n],
])('%s is an address of version %i', (text, version, value) => {
  expect(parseIp(text)).toEqual({ version, value });
});

test.each(['10.0.0.0', '10.0.0.0/33', '::/129', 'x/8', '10.0.0.0/'])('%s is no subnet', (text) => {
  expect(parseSubnet(text)).toBeUndefined();
});

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['0.0.0.0/0', '1.2.3.4', true],
  ['0.0.0.0/0', '::1', false],
  ['2001:db8::/32', '2001:db8:1::1', true],
])('%s holds %s: %s', (subnet, address, expected) => {
  expect(subnetContains(parseSubnet(subnet) as Subnet, parseIp(address) as IpAddress)).toBe(expected);
});
