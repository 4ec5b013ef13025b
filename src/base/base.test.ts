import { expect, test } from 'vitest';

import { AsyncQueue, Code, ID_LENGTH, LinkedController, newId, SwarmError, WakeUp } from './index.js';

const never = new AbortController().signal;

test.each([0x00, 0x7f, 0xff])('ids have one length whatever the random bytes (%i)', (byte) => {
  const id = newId({ bytes: (count) => new Uint8Array(count).fill(byte), float: () => 0 });
  expect(id).toMatch(/^[0-9a-z]{25}$/);
  expect(id).toHaveLength(ID_LENGTH);
});

test('errors print as grpc-go prints them', () => {
  expect(new SwarmError(Code.NOT_FOUND, 'node x not found').rpcText).toBe(
    'rpc error: code = NotFound desc = node x not found',
  );
});

test('a notification before the wait is not lost, and many count once', async () => {
  const wakeUp = new WakeUp();
  wakeUp.notify();
  wakeUp.notify();
  await wakeUp.wait(never);
  const controller = new AbortController();
  const second = wakeUp.wait(controller.signal);
  controller.abort(new Error('stop'));
  await expect(second).rejects.toThrow('stop');
});

test('a queue refuses what is over its limit and delivers the rest before its end', async () => {
  const queue = new AsyncQueue<number>(2);
  expect([queue.push(1), queue.push(2), queue.push(3)]).toEqual([true, true, false]);
  queue.close(new SwarmError(Code.RESOURCE_EXHAUSTED, 'too slow'));
  expect(await queue.takeAll(never)).toEqual([1, 2]);
  await expect(queue.takeAll(never)).rejects.toThrow('too slow');
});

test('a linked controller follows its parent until it is disposed', () => {
  const parent = new AbortController();
  const follows = new LinkedController(parent.signal);
  const free = new LinkedController(parent.signal);
  free[Symbol.dispose]();
  parent.abort(new Error('gone'));
  expect(follows.signal.aborted).toBe(true);
  expect(free.signal.aborted).toBe(false);
});
