import { describe, expect, it } from 'vitest';

import { Code } from '../base/index.js';
import type { Kek, KeyHeaders, RewrapHeaders } from '../ca/index.js';
import { SIM_AEAD } from '../sim/aead.js';
import { SeededRandom } from '../sim/index.js';
import { openLogCipher } from './data-key.js';

const HEADER = 'raft-dek';
const PLAIN = new TextEncoder().encode('what the log holds');
const UNLOCKED: Kek = { key: undefined, version: 0n };
const locked = (fill: number): Kek => ({ key: new Uint8Array(32).fill(fill), version: 1n });

/** Key files of which only the headers matter. */
function setUp(kek: Kek = UNLOCKED) {
  const state: { headers: KeyHeaders; kek: Kek; rewrap: RewrapHeaders } = {
    headers: new Map(),
    kek,
    rewrap: (headers) => headers,
  };
  const keyFiles = {
    get kek() {
      return state.kek;
    },
    headers: () => Promise.resolve(state.headers),
    updateHeaders: async (change: (headers: KeyHeaders) => KeyHeaders) => void (state.headers = change(state.headers)),
    setRewrap: (rewrap: RewrapHeaders) => void (state.rewrap = rewrap),
  };
  const rotate = (next: Kek): void => {
    state.headers = state.rewrap(state.headers, state.kek, next);
    state.kek = next;
  };
  const open = () => openLogCipher({ keyFiles, aead: SIM_AEAD, random: new SeededRandom(1) });
  return { state, rotate, open };
}

describe('the key of the log', () => {
  it('is made once, and kept in a header of the node key', async () => {
    const { state, open } = setUp();
    const sealed = (await open()).seal(PLAIN);
    const stored = state.headers.get(HEADER);
    expect(Buffer.from(stored ?? '', 'base64')).toHaveLength(32);
    expect((await open()).open(sealed)).toEqual(PLAIN);
    expect(state.headers.get(HEADER)).toBe(stored);
  });

  it('leaves other headers alone', async () => {
    const { state, open } = setUp();
    state.headers = new Map([['other', 'value']]);
    await open();
    expect(state.headers.get('other')).toBe('value');
  });

  it.each([
    ['locked', UNLOCKED, locked(1)],
    ['locked with another key', locked(1), locked(2)],
    ['unlocked', locked(1), UNLOCKED],
  ])('stays the same key when managers are %s', async (_, from, to) => {
    const { state, rotate, open } = setUp(from);
    const sealed = (await open()).seal(PLAIN);
    const before = state.headers.get(HEADER);
    rotate(to);
    expect(state.headers.get(HEADER)).not.toBe(before);
    expect((await open()).open(sealed)).toEqual(PLAIN);
  });

  it('is not to be read from the header of a locked manager', async () => {
    const { state, open } = setUp(locked(1));
    await open();
    const stored = state.headers.get(HEADER) ?? '';
    expect(stored).toMatch(/^aes-256-gcm:/);
    state.kek = locked(2);
    await expect(open()).rejects.toMatchObject({ code: Code.DATA_LOSS });
    state.kek = UNLOCKED;
    await expect(open()).rejects.toMatchObject({ code: Code.DATA_LOSS });
  });

  it.each(['', 'AAAA', 'nonsense!', 'aes-256-gcm:', 'aes-256-gcm:AAAA'])(
    'is refused when damaged: %j',
    async (stored) => {
      const { state, open } = setUp(locked(1));
      state.headers = new Map([[HEADER, stored]]);
      await expect(open()).rejects.toMatchObject({ code: Code.DATA_LOSS, message: expect.stringContaining(HEADER) });
    },
  );

  it('is nobody else’s to change: without one there is nothing to encrypt anew', () => {
    const { state, rotate } = setUp();
    rotate(locked(1));
    expect(state.headers.size).toBe(0);
  });
});
