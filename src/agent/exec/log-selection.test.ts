import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { LogStream, LogSubscriptionOptionsSchema, timestampFromMs } from '../../api/index.js';
import { logSelection, selects } from './log-selection.js';

function selection(init: Parameters<typeof create<typeof LogSubscriptionOptionsSchema>>[1] = {}) {
  return logSelection(create(LogSubscriptionOptionsSchema, init));
}

describe('a selection of log lines', () => {
  it('takes tail 0 for all, -1 for none and -(n + 1) for the last n', () => {
    expect(selection().tail).toBeUndefined();
    expect(selection({ tail: -1n }).tail).toBe(0);
    expect(selection({ tail: -6n }).tail).toBe(5);
    expect(() => selection({ tail: 3n })).toThrow('tail');
  });

  it('takes both streams unless some are named', () => {
    expect(selection()).toMatchObject({ stdout: true, stderr: true });
    expect(selection({ streams: [LogStream.STDERR] })).toMatchObject({ stdout: false, stderr: true });
    expect(selects(selection({ streams: [LogStream.STDERR] }), LogStream.STDOUT, 5)).toBe(false);
    expect(selects(selection({ streams: [LogStream.STDERR] }), LogStream.STDERR, 5)).toBe(true);
  });

  it('leaves out what is older than since', () => {
    const since = selection({ since: timestampFromMs(1000) });
    expect(selects(since, LogStream.STDOUT, 999)).toBe(false);
    expect(selects(since, LogStream.STDOUT, 1000)).toBe(true);
  });
});
