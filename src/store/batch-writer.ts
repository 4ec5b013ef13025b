import type { Change } from './change.js';
import { encodeChange } from './encode.js';
import { TRANSACTION_BYTES_MAX, TRANSACTION_CHANGES_MAX, type Batch, type WriteTransaction } from './store.js';
import { storeError } from './store-error.js';
import type { Transaction } from './transaction.js';

/** Encoded bytes at which a piece is proposed. Source: SwarmKit, which leaves the last quarter to the next item. */
const PIECE_BYTES = (TRANSACTION_BYTES_MAX * 3) / 4;

/** What a batch needs of its store. */
export interface BatchHost {
  /** Opens a transaction for the writer, after closing whatever piece another batch has open. */
  open(writer: BatchWriter): Transaction;
  /** Runs `change`; undoes its own changes when it throws. */
  run<T>(transaction: Transaction, change: (tx: WriteTransaction) => T): T;
  /** Proposes the changes that came before all others now staged. */
  submit(changes: readonly Change[], encoded: readonly Uint8Array[] | undefined): Promise<void>;
  /** Whether changes are to be encoded, and limits kept. */
  readonly replicated: boolean;
}

/** Gathers small transactions into pieces that fit the limits, and proposes each as soon as it is full. */
export class BatchWriter implements Batch {
  #transaction: Transaction | undefined;
  #encoded: Uint8Array[] = [];
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;
  #committedChanges = 0;
  readonly #pieces: Promise<void>[] = [];

  constructor(readonly host: BatchHost) {}

  /** Whether changes wait here that are not proposed yet. */
  get hasOpenPiece(): boolean {
    return this.#transaction !== undefined;
  }

  update<T>(change: (tx: WriteTransaction) => T): T {
    this.#throwFailure();
    this.#transaction ??= this.host.open(this);
    const transaction = this.#transaction;
    const before = transaction.changes.length;
    const result = this.host.run(transaction, change);
    this.#account(transaction, before);
    this.#throwFailure();
    if (transaction.changes.length >= TRANSACTION_CHANGES_MAX || this.#bytes >= PIECE_BYTES) this.flush();
    return result;
  }

  /** Proposes the open piece. Another writer must, too, before it builds on what the piece did. */
  flush(): void {
    const transaction = this.#transaction;
    if (transaction === undefined) return;
    this.#transaction = undefined;
    transaction.close();
    this.#submit(transaction.changes);
  }

  /** Undoes the open piece and refuses further updates. What was proposed stays. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#transaction?.undo();
    this.#transaction?.close();
    this.#transaction = undefined;
  }

  /** Waits for all pieces. Returns the number of changes, or throws the first error. */
  async finish(): Promise<number> {
    await Promise.all(this.#pieces);
    this.#throwFailure();
    return this.#committedChanges;
  }

  /** Counts the item's changes; those before it become a piece of their own when both together are too large. */
  #account(transaction: Transaction, before: number): void {
    if (!this.host.replicated) return;
    const encoded = transaction.changes.slice(before).map(encodeChange);
    const bytes = encoded.reduce((total, chunk) => total + chunk.length, 0);
    if (bytes > TRANSACTION_BYTES_MAX || encoded.length > TRANSACTION_CHANGES_MAX) {
      const table = transaction.changes[before]?.table ?? 'task';
      transaction.undo(before);
      throw storeError('too-large', table, { changes: encoded.length, bytes });
    }
    const together = this.#encoded.length + encoded.length;
    if (together > TRANSACTION_CHANGES_MAX || this.#bytes + bytes > TRANSACTION_BYTES_MAX) {
      this.#submit(transaction.changes.splice(0, before));
    }
    for (const chunk of encoded) this.#encoded.push(chunk);
    this.#bytes += bytes;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #submit(changes: readonly Change[]): void {
    const encoded = this.host.replicated ? this.#encoded : undefined;
    this.#encoded = [];
    this.#bytes = 0;
    if (changes.length === 0) return;
    this.#pieces.push(
      this.host.submit(changes, encoded).then(
        () => {
          this.#committedChanges += changes.length;
        },
        (error: unknown) => {
          this.#failure ??= { error };
        },
      ),
    );
  }
}
