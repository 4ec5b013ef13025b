import * as fc from 'fast-check';
import { expect, it } from 'vitest';

import { SortedIds } from './sorted-ids.js';

it('keeps ids in order and finds those with a prefix, whatever is added and removed', () => {
  const id = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.tuple(id, fc.constantFrom('add', 'remove', 'read'))), id, (steps, prefix) => {
      const ids = new SortedIds();
      const model = new Set<string>();
      for (const [each, what] of steps) {
        if (what === 'add' && !model.has(each)) {
          ids.add(each);
          model.add(each);
        } else if (what === 'remove' && model.delete(each)) ids.remove(each);
        else if (what === 'read') expect(ids.all()).toEqual([...model].sort());
      }
      expect(ids.all()).toEqual([...model].sort());
      expect(ids.startingWith(prefix)).toEqual([...model].sort().filter((each) => each.startsWith(prefix)));
    }),
  );
});
