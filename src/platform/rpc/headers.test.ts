import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Code, SwarmError } from '../../base/index.js';
import { encodeTimeout, isGrpc, readMetadata, readTimeout, requestHeaders } from './metadata.js';
import { httpStatusError, readStatus, resetError, statusTrailers } from './status.js';

describe('the status of a call', () => {
  it('survives the way through trailers, which are printable ASCII', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), fc.string({ unit: 'grapheme' }), (code, message) => {
        const trailers = statusTrailers(new SwarmError(code as 1, message));
        expect(trailers['grpc-message']).toMatch(/^[ -~]*$/);
        expect(readStatus(trailers as Record<string, string>)?.error).toMatchObject({ code, message });
      }),
    );
  });

  it('is encoded as the specification says', () => {
    const message = (text: string): unknown => statusTrailers(new SwarmError(Code.UNKNOWN, text))['grpc-message'];
    expect(message('a b ~')).toBe('a b ~');
    expect(message('50%\n')).toBe('50%25%0A');
    expect(message('ü')).toBe('%C3%BC');
  });

  it('is read from odd trailers without failing', () => {
    expect(readStatus({})).toBeUndefined();
    expect(readStatus({ 'grpc-status': '0' })).toEqual({ error: undefined });
    expect(readStatus({ 'grpc-status': '5' })?.error).toMatchObject({ code: Code.NOT_FOUND, message: '' });
    for (const status of ['17', '-1', 'x', '']) {
      expect(readStatus({ 'grpc-status': status })?.error).toMatchObject({ code: Code.UNKNOWN });
    }
    expect(readStatus({ 'grpc-status': '2', 'grpc-message': '100% %zz %41' })?.error?.message).toBe('100% %zz A');
  });

  it('is derived from HTTP statuses and resets where there is none', () => {
    const codes = [400, 401, 403, 404, 429, 502, 503, 504, 500].map((status) => httpStatusError(status, 'x').code);
    expect(codes).toEqual([13, 16, 7, 12, 14, 14, 14, 14, 2]);
    expect([0, 1, 7, 8, 11, 12, 99].map((code) => resetError(code).code)).toEqual([13, 13, 14, 1, 8, 7, 2]);
    expect(resetError(8).message).toBe('stream terminated by RST_STREAM with error code: CANCEL');
  });
});

describe('the headers of a call', () => {
  it('carry a timeout in at most eight digits, never shortened', () => {
    expect([0, 1, 1.2, 5_000, 99_999_999, 100_000_000, 1e12, 1e30].map(encodeTimeout)).toEqual([
      '0m',
      '1m',
      '2m',
      '5000m',
      '99999999m',
      '100000S',
      '16666667M',
      '99999999H',
    ]);
    const read = (text: string): number | undefined => readTimeout({ 'grpc-timeout': text });
    expect(['1H', '2M', '3S', '4m', '5u', '6n'].map(read)).toEqual([3_600_000, 120_000, 3_000, 4, 0.005, 6e-6]);
    expect(readTimeout({})).toBeUndefined();
    for (const text of ['', '5', 'm', '123456789m', '-1m', '5s', '1.5S']) {
      expect(() => read(text)).toThrow(expect.objectContaining({ code: Code.INTERNAL }));
    }
  });

  it('carry metadata, but never in place of the protocol', () => {
    const metadata = new Map([
      ['redirect', 'true'],
      ['te', 'x'],
      ['grpc-timeout', '1n'],
      ['content-type', 'x'],
      [':path', '/x'],
    ]);
    const headers = requestHeaders({ path: '/s/M', metadata, timeoutMs: 10 }, 'a', 'https');
    expect(headers).toEqual({
      ':method': 'POST',
      ':scheme': 'https',
      ':path': '/s/M',
      ':authority': 'a',
      'content-type': 'application/grpc',
      'user-agent': 'grpc-swarmkit-ts',
      te: 'trailers',
      'grpc-timeout': '10m',
      redirect: 'true',
    });
    expect(readMetadata(headers as Record<string, string>)).toEqual(new Map([['redirect', 'true']]));
  });

  it('refuse metadata that HTTP cannot carry', () => {
    for (const [name, value] of [
      ['a b', 'x'],
      ['a', 'x\n'],
      ['a', 'ü'],
      ['', 'x'],
    ] as const) {
      const head = { path: '/s/M', metadata: new Map([[name, value]]), timeoutMs: undefined };
      expect(() => requestHeaders(head, 'a', 'https')).toThrow(expect.objectContaining({ code: Code.INTERNAL }));
    }
  });

  it('tell gRPC from everything else', () => {
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc; charset=utf-8']) {
      expect(isGrpc(type)).toBe(true);
    }
    for (const type of [undefined, '', 'text/html', 'application/grpc-web', 'application/grpc+json']) {
      expect(isGrpc(type)).toBe(false);
    }
  });
});
