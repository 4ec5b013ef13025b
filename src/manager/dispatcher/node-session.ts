import { Code, LinkedController, SwarmError, WakeUp } from '../../base/index.js';

/** What a stream of a session is for; a session has at most one of each. */
export type StreamKind = 'session' | 'assignments' | 'tasks';

/** One open stream of a session: ends with its caller, with the session, or when a newer one takes its place. */
export class SessionStream implements Disposable {
  /** Notified when there may be something to send. */
  readonly wakeUp = new WakeUp();
  readonly #controller: LinkedController;
  readonly #closed: () => void;

  constructor(callSignal: AbortSignal, closed: () => void) {
    this.#controller = new LinkedController(callSignal);
    this.#closed = closed;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(reason: SwarmError): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#controller[Symbol.dispose]();
    this.#closed();
  }
}

/** The registration of one node with this leader, and the streams that belong to it. */
export class NodeSession {
  readonly #streams = new Map<StreamKind, SessionStream>();
  #ended: SwarmError | undefined;

  constructor(
    readonly nodeId: string,
    readonly sessionId: string,
  ) {}

  /** Opens a stream. An earlier one of the same kind ends: its reader has lost interest in it. */
  open(kind: StreamKind, callSignal: AbortSignal): SessionStream {
    if (this.#ended !== undefined) throw this.#ended;
    this.#streams.get(kind)?.end(new SwarmError(Code.ABORTED, `a newer ${kind} stream was opened`));
    const stream = new SessionStream(callSignal, () => {
      if (this.#streams.get(kind) === stream) this.#streams.delete(kind);
    });
    this.#streams.set(kind, stream);
    return stream;
  }

  /** Makes a stream look again whether there is something to send. */
  notify(kind: StreamKind): void {
    this.#streams.get(kind)?.wakeUp.notify();
  }

  /** Ends the session and its streams with the reason that their readers get. */
  end(reason: SwarmError): void {
    this.#ended ??= reason;
    for (const stream of this.#streams.values()) stream.end(reason);
  }
}
