import { Code, SwarmError, type ErrorDetails } from '../base/index.js';
import type { MessageQueue } from './message-queue.js';

/** The largest request that a server takes, in bytes. Source: SwarmKit (gRPC's default). */
export const REQUEST_BYTES_MAX = 4 * 1024 * 1024;

/** The refusal of a message that is too large, in grpc-go's words. */
export function messageTooLarge(bytes: number, bytesMax: number): SwarmError {
  return new SwarmError(Code.RESOURCE_EXHAUSTED, `grpc: received message larger than max (${bytes} vs. ${bytesMax})`);
}

/** A peer that was not reached. Followers of stock managers know "connection error" and look for another leader. */
export function dialError(text: string, details: ErrorDetails = {}): SwarmError {
  const message = `connection error: desc = ${JSON.stringify(`transport: ${text}`)}`;
  return new SwarmError(Code.UNAVAILABLE, message, { details });
}

/** A peer whose certificate was not accepted; `reason: certificate` in the details tells it from other failures. */
export function certificateError(addr: string, problem: string): SwarmError {
  return dialError(`authentication handshake with ${addr} failed: x509: ${problem}`, { reason: 'certificate' });
}

/** A connection that ended under its calls. Followers of stock managers know "is closing" in the same way. */
export function connectionLost(addr: string, cause: string): SwarmError {
  return new SwarmError(Code.UNAVAILABLE, `transport is closing: the connection to ${addr} was lost: ${cause}`);
}

/** What opens a call on the wire. */
export interface CallHead {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Keys in lower case. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Time until the deadline; undefined without one. */
  readonly timeoutMs: number | undefined;
}

/** A call at the caller's end of a transport. */
export interface OutgoingCall {
  /** The replies; its end is the call's status. */
  readonly replies: MessageQueue;
  /** Whether the server refused the call without looking at it, so that it may be sent again. */
  readonly isUntouched: boolean;
  /** Sends a request; resolves when the next one may follow, or the call has ended. */
  send(message: Uint8Array): Promise<void>;
  /** Says that no request follows, after the one that is given. */
  end(last?: Uint8Array): void;
  /** Ends the call early, with what the consumer of its replies is to see; harmless once it has ended. */
  cancel(reason: SwarmError): void;
}

/** A call at the server's end of a transport. */
export interface IncomingCall {
  readonly requests: MessageQueue;
  /** Sends a reply; resolves when the next one may follow, or the call has ended. */
  send(message: Uint8Array): Promise<void>;
  /** Sends a last reply, if there is one, and the status. */
  finish(error: SwarmError | undefined, last?: Uint8Array): void;
}

/** A transport to one peer. */
export interface CallOpener {
  /** Opens a call, connecting first where that is needed; Unavailable when the peer is not reached. */
  open(head: CallHead, signal: AbortSignal): Promise<OutgoingCall>;
  /** Lets go of the peer; calls that run fail. */
  close(): void;
  /** The peer's address, for errors. */
  readonly addr: string;
}
