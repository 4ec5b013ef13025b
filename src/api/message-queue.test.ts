import { describe, expect, it } from 'vitest';

import { Code, SwarmError } from '../base/index.js';
import { MessageQueue } from './message-queue.js';

const message = (value: number): Uint8Array => Uint8Array.of(value);
const error = new SwarmError(Code.ABORTED, 'cut off');

describe('MessageQueue', () => {
  it('gives what was put in order, waiting or not, and then the end', async () => {
    const queue = new MessageQueue(() => undefined);
    queue.put(message(1));
    const [first, second] = [queue.take(), queue.take()];
    queue.put(message(2));
    queue.put(message(3));
    queue.finish();
    queue.put(message(4));
    expect(await Promise.all([first, second])).toEqual([message(1), message(2)]);
    expect(await queue.take()).toEqual(message(3));
    expect(await queue.take()).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
  });

  it('keeps what waits when it finishes with an error, and drops it when it fails', async () => {
    const finished = new MessageQueue(() => undefined);
    finished.put(message(1));
    finished.finish(error);
    expect(await finished.take()).toEqual(message(1));
    await expect(finished.take()).rejects.toBe(error);
    const failed = new MessageQueue(() => undefined);
    failed.put(message(1));
    failed.fail(error);
    await expect(failed.take()).rejects.toBe(error);
    expect(failed.waitingBytes).toBe(0);
  });

  it('tells a waiting consumer of the end at once, and keeps to the first error', async () => {
    const queue = new MessageQueue(() => undefined);
    const waiting = queue.take();
    queue.fail(error);
    queue.fail(new SwarmError(Code.INTERNAL, 'later'));
    queue.finish();
    await expect(waiting).rejects.toBe(error);
    await expect(queue.take()).rejects.toBe(error);
    expect(queue.isEnded).toBe(true);
  });

  it('counts what waits, empty messages too, and says when nothing does', async () => {
    let emptied = 0;
    const queue = new MessageQueue(() => emptied++);
    queue.put(new Uint8Array(0));
    queue.put(new Uint8Array(100));
    expect(queue.waitingBytes).toBeGreaterThan(100);
    const before = queue.waitingBytes;
    await queue.take();
    expect(queue.waitingBytes).toBeLessThan(before);
    expect(emptied).toBe(0);
    await queue.take();
    expect([queue.waitingBytes, emptied]).toEqual([0, 1]);
  });
});
