/** Longest single message of a stream of JSON that is accepted, in characters. */
const MESSAGE_LENGTH_MAX = 4 * 1024 * 1024;

/** The messages of a stream of JSON lines, as the engine sends events and the progress of a pull. */
export async function* jsonMessages<T>(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<T, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MESSAGE_LENGTH_MAX) throw new RangeError('a message of the engine is too long');
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as T;
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as T;
}
