import { describe, expect, it } from 'vitest';

import { resolveAccount } from './accounts.js';

const FILES = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nanna:x:1000:100:Anna:/home/anna:/bin/sh\n# no entry\nbad:x:y:z::\n',
  group: 'root:x:0:\nusers:x:100:\nwheel:x:10:anna,otto\nbad:x:\n',
};

describe('an account', () => {
  it('is that of a name or a number, with its own groups', () => {
    const anna = { uid: 1000, gid: 100, groups: [10], home: '/home/anna' };
    expect(resolveAccount('anna', [], FILES)).toEqual(anna);
    expect(resolveAccount('1000', [], FILES)).toEqual(anna);
  });

  it('takes the group that is named, and then none of its own', () => {
    expect(resolveAccount('anna:root', [], FILES)).toMatchObject({ gid: 0, groups: [] });
    expect(resolveAccount('anna:77', [], FILES)).toMatchObject({ gid: 77, groups: [] });
    expect(resolveAccount('anna:', [], FILES)).toMatchObject({ gid: 100, groups: [10] });
  });

  it('gets additional groups, sorted and once', () => {
    expect(resolveAccount('anna', ['77', 'users', 'wheel', '77'], FILES).groups).toEqual([10, 77, 100]);
  });

  it('may be a number that nobody knows', () => {
    expect(resolveAccount('4711', [], FILES)).toEqual({ uid: 4711, gid: 0, groups: [], home: '/' });
    expect(resolveAccount('4711:12', [], FILES)).toMatchObject({ uid: 4711, gid: 12 });
  });

  it.each([
    ['nobody', [], 'user: unable to find "nobody"'],
    ['anna:nogroup', [], 'user: unable to find "nogroup"'],
    ['anna', ['nogroup'], 'groups: unable to find "nogroup"'],
    ['4294967295', [], 'user: unable to find'],
    [':10', [], 'user: unable to find ""'],
    ['-1', [], 'user: unable to find "-1"'],
  ])('is refused for %s %j', (user, groups, message) => {
    expect(() => resolveAccount(user, groups, FILES)).toThrow(message);
  });
});
