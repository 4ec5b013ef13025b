/** A part with a life of its own: runs until the signal aborts, and returns only after its children ended. */
export interface Component {
  run(signal: AbortSignal): Promise<void>;
}
