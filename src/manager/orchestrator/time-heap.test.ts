import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { TimeHeap } from './time-heap.js';

it('gives keys by time, equal times in the order in which they were added, and none before its time', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), fc.nat(25), (times, nowMs) => {
      const heap = new TimeHeap();
      times.forEach((atMs, index) => heap.add(atMs, `${index}`));
      const expected = times
        .map((atMs, index) => ({ atMs, key: `${index}` }))
        .filter(({ atMs }) => atMs <= nowMs)
        .sort((left, right) => left.atMs - right.atMs);
      const taken: string[] = [];
      for (let key = heap.takeDue(nowMs); key !== undefined; key = heap.takeDue(nowMs)) taken.push(key);
      expect(taken).toEqual(expected.map(({ key }) => key));
      const later = times.filter((atMs) => atMs > nowMs);
      expect(heap.nextMs).toBe(later.length === 0 ? undefined : Math.min(...later));
    }),
  );
});
