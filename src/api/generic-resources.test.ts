import { expect, test } from 'vitest';

import { Code } from '../base/index.js';
import { discreteResource, GenericResourcePool, namedResource, parseGenericResources } from './generic-resources.js';

test('counts and names are parsed per kind', () => {
  expect(parseGenericResources('fpga=2, gpu=a,gpu=b')).toEqual([
    discreteResource('fpga', 2n),
    namedResource('gpu', 'a'),
    namedResource('gpu', 'b'),
  ]);
  expect(parseGenericResources('')).toEqual([]);
});

test.each([
  ['gpu', "incorrect term gpu, missing '=' or malformed expression"],
  ['gpu=1=2', "incorrect term gpu=1=2, missing '=' or malformed expression"],
  ['gpu=a,gpu=1', "mixed discrete and named resources in expression 'gpu=a,1'"],
  ['gpu=-1', 'cannot ask for negative resource gpu'],
])('%s is refused', (text, reason) => {
  expect(() => parseGenericResources(text)).toThrow(
    expect.objectContaining({ code: Code.INVALID_ARGUMENT, message: `could not parse GenericResource: ${reason}` }),
  );
});

test('claims take named units and give them back', () => {
  const pool = new GenericResourcePool(parseGenericResources('gpu=a,gpu=b,gpu=c,fpga=2'));
  const claimed = pool.claim([discreteResource('gpu', 1n), discreteResource('gpu', 1n), discreteResource('fpga', 2n)]);
  expect(claimed).toEqual([namedResource('gpu', 'a'), namedResource('gpu', 'b'), discreteResource('fpga', 2n)]);
  expect(pool.available('gpu')).toBe(1n);
  expect(pool.fits([discreteResource('gpu', 2n)])).toBe(false);
  expect(pool.fits([discreteResource('gpu', 1n)])).toBe(true);
  expect(pool.fits([discreteResource('fpga', 1n)])).toBe(false);
  expect(pool.fits([discreteResource('unknown', 1n)])).toBe(false);
  pool.release(claimed);
  expect(pool.available('gpu')).toBe(3n);
  expect(pool.available('fpga')).toBe(2n);
});

test('reservations of one kind are added up', () => {
  const pool = new GenericResourcePool(parseGenericResources('fpga=3'));
  expect(pool.fits([discreteResource('fpga', 2n), discreteResource('fpga', 2n)])).toBe(false);
});
