import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  ClusterSchema,
  durationFromMs,
  durationFromNs,
  GenericRuntimeSpecSchema,
  NodeSchema,
  SecretSchema,
  ServiceSchema,
  timestampFromMs,
} from '../../../api/index.js';
import { ago, counted, humanCpus, humanDuration, humanSize } from './human.js';
import { messageJson, renderJson } from './json.js';
import { entry, pairs, renderPage, section } from './page.js';
import { renderTable, type Column } from './table.js';
import { displayWidth, fit, oneLine } from './text.js';

const COLUMNS: readonly Column[] = [
  { title: 'ID', weight: 2, widthMin: 6 },
  { title: 'Name', weight: 3, widthMin: 4 },
  { title: 'Error', weight: 1, widthMin: 8 },
];
const ROWS = [
  ['abcdefghijkl', 'web', 'no suitable node'],
  ['mnopqrstuvwx', 'database', ''],
];

describe('tables', () => {
  test('show everything where there is no terminal', () => {
    expect(renderTable(COLUMNS, ROWS, undefined)).toBe(
      'ID            Name      Error\nabcdefghijkl  web       no suitable node\nmnopqrstuvwx  database\n',
    );
  });

  test('cut the column that matters least first', () => {
    expect(renderTable(COLUMNS, ROWS, 33)).toBe(
      'ID            Name      Error\nabcdefghijkl  web       no suita…\nmnopqrstuvwx  database\n',
    );
  });

  test('cut the others next, and leave out what would say nothing any more', () => {
    expect(renderTable(COLUMNS, ROWS, 22)).toBe('ID      Name  Error\nabcde…  web   no suit…\nmnopq…  dat…\n');
    expect(renderTable(COLUMNS, ROWS, 21)).toBe('ID           Name\nabcdefghij…  web\nmnopqrstuv…  database\n');
    expect(renderTable(COLUMNS, ROWS, 3)).toBe('Na…\nweb\nda…\n');
  });

  test('leave out an empty column before anything is cut', () => {
    const rows = ROWS.map(([id = '', name = '']) => [id, name, '']);
    expect(renderTable(COLUMNS, rows, 22)).toBe('ID            Name\nabcdefghijkl  web\nmnopqrstuvwx  database\n');
    expect(renderTable(COLUMNS, rows, 40)).toContain('Error');
    expect(renderTable(COLUMNS, [], 8)).toBe('ID  Name\n');
  });

  test('never exceed the terminal', () => {
    const cells = fc.array(fc.string({ unit: 'binary' }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(cells), fc.integer({ min: 1, max: 60 }), (rows, width) => {
        for (const line of renderTable(COLUMNS, rows, width).split('\n')) {
          expect(displayWidth(line)).toBeLessThanOrEqual(width);
        }
      }),
    );
  });

  test('show nothing that controls the terminal', () => {
    const hostile = '\u001b[31mred\u0007\nnext\u202eline';
    expect(renderTable([{ title: 'X', weight: 1 }], [[hostile]], undefined)).toBe('X\n[31mred next line\n');
  });
});

test('texts are measured and cut as terminals draw them', () => {
  expect(displayWidth('日本')).toBe(4);
  expect(displayWidth('e\u0301')).toBe(1);
  expect(fit('日本語', 5)).toBe('日本…');
  expect(fit('abc', 3)).toBe('abc');
  expect(fit('abc', 0)).toBe('');
  expect(oneLine(' a\r\n b ')).toBe('a b'.replace(' ', '  '));
});

test('pages align their values', () => {
  const lines = [
    ...entry(0, 'ID', 'x1'),
    ...entry(0, 'Empty', ''),
    ...section(0, 'Labels', pairs(1, { zone: 'b', area: 'a' })),
    ...section(0, 'Nothing', []),
  ];
  expect(renderPage(lines)).toBe('ID     : x1\nLabels:\n  area : a\n  zone : b\n');
});

describe('human units', () => {
  test.each([
    [0, 'just now'],
    [-5, 'just now'],
    [1, '1 second ago'],
    [59, '59 seconds ago'],
    [60, '1 minute ago'],
    [7_200, '2 hours ago'],
    [100_000, '27 hours ago'],
    [200_000, '2 days ago'],
    [2_000_000, '3 weeks ago'],
    [90_000_000, '2 years ago'],
  ])('%i seconds', (seconds, text) => {
    expect(ago(timestampFromMs(1e12 - seconds * 1000), 1e12)).toBe(text);
  });

  test('amounts', () => {
    expect(humanSize(0n)).toBe('0 B');
    expect(humanSize(512n << 20n)).toBe('512 MiB');
    expect(humanSize(25_276_000_000n)).toBe('23.54 GiB');
    expect(humanCpus(1_500_000_000n)).toBe('1.5');
    expect(counted(1, 'task')).toBe('1 task');
    expect(counted(0, 'task')).toBe('0 tasks');
    expect(ago(undefined, 0)).toBe('');
  });

  test.each([
    [0n, '0s'],
    [5n, '5ns'],
    [1_500n, '1.5µs'],
    [500_000_000n, '500ms'],
    [90_000_000_000n, '1m30s'],
    [7_776_000_000_000_000n, '2160h0m0s'],
    [-1_000_000_000n, '-1s'],
  ])('duration of %s ns', (ns, text) => {
    expect(humanDuration(durationFromNs(ns))).toBe(text);
  });
});

describe('JSON', () => {
  test('numbers, enums, times and absent fields', () => {
    const service = create(ServiceSchema, {
      id: 's1',
      meta: { version: { index: 5n }, createdAt: timestampFromMs(1_767_225_600_500) },
      spec: {
        annotations: { name: 'web', labels: { b: '2', a: '1' } },
        mode: { case: 'replicated', value: { replicas: (1n << 63n) - 1n } },
        update: { delay: durationFromMs(1500), maxFailureRatio: 0.1 },
      },
    });
    expect(messageJson(ServiceSchema, service)).toMatchObject({
      id: 's1',
      meta: { version: { index: 5 }, createdAt: '2026-01-01T00:00:00.5Z' },
      spec: {
        annotations: { name: 'web', labels: { a: '1', b: '2' }, indices: [] },
        replicated: { replicas: '9223372036854775807' },
        update: { delay: '1.5s', failureAction: 'PAUSE', maxFailureRatio: 0.1 },
      },
      pendingDelete: false,
    });
    expect(messageJson(ServiceSchema, service)).not.toHaveProperty('updateStatus');
  });

  test('wrapped scalars and payloads of unknown types', () => {
    const payload = anyPack(GenericRuntimeSpecSchema, create(GenericRuntimeSpecSchema, { kind: 'x' }));
    const service = create(ServiceSchema, {
      spec: {
        task: { runtime: { case: 'generic', value: { kind: 'plugin', payload } }, resources: { swapBytes: 5n } },
      },
    });
    expect(messageJson(ServiceSchema, service)).toMatchObject({
      spec: { task: { generic: { payload: { value: expect.any(String) } }, resources: { swapBytes: 5 } } },
    });
  });

  test('keys, secrets and credentials never appear', () => {
    const secret = new TextEncoder().encode('TOP-SECRET');
    const text = [
      messageJson(SecretSchema, create(SecretSchema, { spec: { data: secret } })),
      messageJson(
        ClusterSchema,
        create(ClusterSchema, {
          spec: { caConfig: { signingCaKey: secret } },
          rootCa: { caKey: secret, rootRotation: { caKey: secret } },
          unlockKeys: [{ key: secret }],
          networkBootstrapKeys: [{ key: secret }],
        }),
      ),
      messageJson(
        ServiceSchema,
        create(ServiceSchema, {
          spec: {
            task: { runtime: { case: 'container', value: { pullOptions: { registryAuth: 'TOP-SECRET' } } } },
          },
        }),
      ),
    ]
      .map(renderJson)
      .join('');
    expect(text).not.toContain('TOP-SECRET');
    expect(text).not.toContain(Buffer.from(secret).toString('base64'));
  });

  test('times out of the range of dates do not fail', () => {
    const node = create(NodeSchema, { meta: { createdAt: { seconds: 1n << 60n, nanos: 0 } } });
    expect(JSON.stringify(messageJson(NodeSchema, node))).toContain('seconds since 1970');
  });
});
