import {
  MessageQueue,
  REQUEST_BYTES_MAX,
  ServedCall,
  messageTooLarge,
  type CallEnvironment,
  type CallHead,
  type IncomingCall,
  type OutgoingCall,
} from '../api/index.js';
import { Code, SwarmError } from '../base/index.js';
import type { End, SimConnection } from './network-connection.js';

/** Messages of one direction of a call that may be under way, as HTTP/2's windows limit them. */
const WINDOW_MESSAGES = 256;

/** Holds a sender back while too much of what it sent was not read. */
class SendWindow {
  #free = WINDOW_MESSAGES;
  #isOpenForEver = false;
  #waiters: (() => void)[] = [];

  take(): Promise<void> {
    this.#free--;
    if (this.#free > 0 || this.#isOpenForEver) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  release(count: number): void {
    this.#free += count;
    if (this.#free > 0) this.#wake();
  }

  /** The call has ended: nobody is held back any more. */
  open(): void {
    this.#isOpenForEver = true;
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }
}

/** Receives the messages of one direction and lets the sender go on as they are read. */
class Inbox {
  readonly messages = new MessageQueue(() => this.#acknowledge());
  #unacknowledged = 0;

  constructor(readonly acknowledge: (count: number) => void) {}

  receive(message: Uint8Array): void {
    this.#unacknowledged++;
    this.messages.put(message);
    if (this.messages.waitingBytes === 0) this.#acknowledge();
  }

  #acknowledge(): void {
    const count = this.#unacknowledged;
    this.#unacknowledged = 0;
    if (count > 0) this.acknowledge(count);
  }
}

/** A call in memory: what each end does reaches the other one through the connection. */
export class SimCall implements OutgoingCall {
  /** A lost call may have been seen. */
  readonly isUntouched = false;
  readonly #connection: SimConnection;
  readonly #requestWindow = new SendWindow();
  readonly #replyWindow = new SendWindow();
  readonly #requests = new Inbox((count) => this.#send('client', () => this.#requestWindow.release(count)));
  readonly #replies = new Inbox((count) => this.#send('server', () => this.#replyWindow.release(count)));
  readonly #onEnd: () => void;
  #served: ServedCall | undefined;
  #isOver = false;

  /** @param onEnd called once when the caller's end is done with the call. */
  constructor(connection: SimConnection, onEnd: () => void) {
    this.#connection = connection;
    this.#onEnd = onEnd;
  }

  /** Lets the server begin; `serve` runs at its end when the call arrives there. */
  begin(serve: (call: SimCall) => void): void {
    this.#send('server', () => serve(this));
  }

  /** The server's end: runs the call with its handler. */
  serve(head: CallHead, environment: CallEnvironment): { readonly call: ServedCall; readonly done: Promise<void> } {
    const wire: IncomingCall = {
      requests: this.#requests.messages,
      send: (message) => {
        this.#send('client', () => this.#replies.receive(message));
        return this.#replyWindow.take();
      },
      finish: (error, last) => {
        this.#replyWindow.open();
        this.#send('client', () => {
          if (last !== undefined) this.#replies.receive(last);
          this.#end(error);
        });
      },
    };
    const call = new ServedCall(wire, environment);
    this.#served = call;
    return { call, done: call.run(() => head).finally(() => this.#replyWindow.open()) };
  }

  get replies(): MessageQueue {
    return this.#replies.messages;
  }

  send(message: Uint8Array): Promise<void> {
    this.#send('server', () => {
      if (message.length <= REQUEST_BYTES_MAX) this.#requests.receive(message);
      else this.#served?.reject(messageTooLarge(message.length, REQUEST_BYTES_MAX));
    });
    return this.#requestWindow.take();
  }

  end(last?: Uint8Array): void {
    // The window does not matter: nothing follows.
    if (last !== undefined) void this.send(last);
    this.#send('server', () => this.#requests.messages.finish());
  }

  cancel(reason: SwarmError): void {
    if (this.#isOver) return;
    this.#send('server', () => this.#served?.abort(new SwarmError(Code.CANCELED, 'context canceled')));
    this.replies.fail(reason);
    this.#end(reason);
  }

  /** The caller's end hears that the connection is lost. */
  lose(reason: SwarmError): void {
    this.#end(reason);
  }

  #end(error: SwarmError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#requestWindow.open();
    this.replies.finish(error);
    this.#onEnd();
  }

  #send(to: End, deliver: () => void): void {
    this.#connection.send(to, deliver);
  }
}
