import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';

import type { CallOptions, RpcChannel } from '../../api/index.js';
import { Code, LinkedController, orAborted, SwarmError, type Clock } from '../../base/index.js';

/**
 * The local manager's channel, with deadlines kept here: calls inside a process have none of their own, and a
 * manager without a quorum may never answer (engine-api E-116).
 */
export function withDeadlines(channel: RpcChannel, clock: Clock): RpcChannel {
  return {
    unary: (method, request, options) => unaryInTime(channel, clock, method, request, options),
    serverStream: (method, request, options) => channel.serverStream(method, request, options),
    clientStream: (method, requests, options) => channel.clientStream(method, requests, options),
    close: () => channel.close(),
  };
}

async function unaryInTime<I extends DescMessage, O extends DescMessage>(
  channel: RpcChannel,
  clock: Clock,
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  options: CallOptions,
): Promise<MessageShape<O>> {
  if (options.timeoutMs === undefined) return channel.unary(method, request, options);
  using call = new LinkedController(options.signal);
  const timer = clock.setTimer(options.timeoutMs, () =>
    call.abort(new SwarmError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded')),
  );
  try {
    return await orAborted(channel.unary(method, request, { ...options, signal: call.signal }), call.signal);
  } finally {
    timer.cancel();
  }
}
