/** Where the core tells what it does; the texts are those of etcd/raft, because the dialogues contain them. */
export interface RaftLogger {
  debug(text: string): void;
  info(text: string): void;
  warning(text: string): void;
  error(text: string): void;
}

/** Writes nothing. */
export const SILENT_RAFT_LOGGER: RaftLogger = {
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
};
