import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Code } from '../../base/index.js';
import { encodeFrame, FrameDecoder } from './frames.js';

const LIMIT = 1_000;

describe('FrameDecoder', () => {
  it('finds the same messages wherever the bytes are cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
    const cuts = fc.array(fc.nat({ max: 50 }), { maxLength: 200 });
    fc.assert(
      fc.property(messages, cuts, (sent, lengths) => {
        const bytes = Buffer.concat(sent.map(encodeFrame));
        const decoder = new FrameDecoder(LIMIT, '');
        const received: Uint8Array[] = [];
        let at = 0;
        for (const length of lengths) {
          received.push(...decoder.push(bytes.subarray(at, at + length)));
          at += length;
        }
        received.push(...decoder.push(bytes.subarray(at)));
        expect(received).toEqual(sent);
        expect(decoder.isInsideMessage).toBe(false);
      }),
    );
  });

  it('knows that it is inside a message', () => {
    const frame = encodeFrame(new Uint8Array(10));
    for (let length = 1; length < frame.length; length++) {
      const decoder = new FrameDecoder(LIMIT, '');
      expect(decoder.push(frame.subarray(0, length))).toEqual([]);
      expect(decoder.isInsideMessage).toBe(true);
    }
  });

  it('refuses a message over the limit by its header, before the message came', () => {
    const decoder = new FrameDecoder(LIMIT, '');
    expect(decoder.push(encodeFrame(new Uint8Array(LIMIT)))).toHaveLength(1);
    const header = encodeFrame(new Uint8Array(LIMIT + 1)).subarray(0, 5);
    expect(() => decoder.push(header)).toThrow(
      expect.objectContaining({
        code: Code.RESOURCE_EXHAUSTED,
        message: 'grpc: received message larger than max (1001 vs. 1000)',
      }),
    );
  });

  it('refuses compressed messages', () => {
    const frame = encodeFrame(new Uint8Array(1));
    frame[0] = 1;
    expect(() => new FrameDecoder(LIMIT, 'gzip').push(frame)).toThrow(
      expect.objectContaining({
        code: Code.UNIMPLEMENTED,
        message: 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
      }),
    );
    expect(() => new FrameDecoder(LIMIT, '').push(frame)).toThrow(
      expect.objectContaining({
        code: Code.INTERNAL,
        message: 'grpc: compressed flag set with identity or empty encoding',
      }),
    );
  });

  it('does not keep a large buffer alive for a small message', () => {
    const slab = new Uint8Array(65_536);
    slab.set(encodeFrame(Uint8Array.of(1, 2, 3)));
    const [message] = new FrameDecoder(LIMIT, '').push(slab.subarray(0, 8));
    expect(message).toEqual(Uint8Array.of(1, 2, 3));
    expect(message?.buffer.byteLength).toBe(3);
  });
});
