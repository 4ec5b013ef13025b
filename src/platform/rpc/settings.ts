/** Bytes of one call that may be under way unread. HTTP/2's own 64 KiB would cost a round trip per chunk. */
export const STREAM_WINDOW_BYTES = 1024 * 1024;

/** The same for a whole connection: one slow reader must not hold up the others. */
export const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;

/**
 * Megabytes of memory that Node lets one connection use before it refuses calls. Its default of 10 is
 * reached by some thousands of open streams, which a follower that forwards for its agents has.
 */
export const SESSION_MEMORY_MB_MAX = 1024;
