import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { SecretSchema, ServiceSchema } from '../api/index.js';
import { deepFreeze, sameMessage } from './freeze.js';

describe('deepFreeze', () => {
  it('freezes messages, lists, maps and oneofs, and passes over bytes', () => {
    const service = deepFreeze(
      create(ServiceSchema, {
        spec: {
          annotations: { labels: { a: 'b' } },
          mode: { case: 'replicated', value: { replicas: 1n } },
          task: { networks: [{ target: 'x' }] },
        },
      }),
    );
    for (const part of [
      service,
      service.spec?.annotations?.labels,
      service.spec?.mode.value,
      service.spec?.task?.networks[0],
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    const secret = deepFreeze(create(SecretSchema, { spec: { data: new Uint8Array([1]) } }));
    expect(Object.isFrozen(secret.spec)).toBe(true);
    expect(secret.spec?.data).toEqual(new Uint8Array([1]));
  });

  it('does not enter what is frozen already', () => {
    const inner = { deep: { value: 1 } };
    deepFreeze({ shared: Object.freeze(inner) });
    expect(Object.isFrozen(inner.deep)).toBe(false);
  });
});

describe('sameMessage', () => {
  const secret = (bytes: readonly number[], labels: Record<string, string> = {}) =>
    create(SecretSchema, { id: 'x', spec: { annotations: { labels }, data: new Uint8Array(bytes) } });

  it.each([
    [secret([1, 2]), secret([1, 2]), true],
    [secret([1, 2]), secret([1, 3]), false],
    [secret([1]), secret([1, 2]), false],
    [secret([], { a: 'b' }), secret([], { a: 'b' }), true],
    [secret([], { a: 'b' }), secret([]), false],
    [secret([]), secret([], { a: 'b' }), false],
    [{ ...secret([]), spec: undefined }, create(SecretSchema, { id: 'x' }), true],
    [{ ...secret([]), $unknown: [] }, secret([]), false],
    [{ a: [1, 2] }, { a: [1] }, false],
    [{ a: [1] }, { a: [1, 2] }, false],
    [{ a: Number.NaN }, { a: Number.NaN }, true],
    [{ a: 1n }, { a: 1 }, false],
    [{ a: [] }, { a: {} }, false],
    [{ a: new Uint8Array() }, { a: [] }, false],
  ])('compares by content %#', (a, b, same) => {
    expect(sameMessage(a, b)).toBe(same);
  });
});
