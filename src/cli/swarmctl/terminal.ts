/** Where a command reads and writes. The real one is in `process-terminal.ts`. */
export interface Terminal {
  /** Width of standard output; undefined where it is no terminal. */
  readonly columns: number | undefined;
  /** Width of standard error; undefined where it is no terminal. */
  readonly errorColumns: number | undefined;
  /** Whether somebody would have to type what {@link readInput} reads. */
  readonly isInputTyped: boolean;
  /** Writes to standard output; resolves when more may be written. */
  write(data: string | Uint8Array): Promise<void>;
  /** Writes to standard error. */
  writeError(data: string | Uint8Array): Promise<void>;
  /** Standard input to its end. UsageError when it is longer than `bytesMax`. */
  readInput(bytesMax: number): Promise<Uint8Array>;
  /** A file. UsageError when it cannot be read or is longer than `bytesMax`. */
  readFile(path: string, bytesMax: number): Promise<Uint8Array>;
}
