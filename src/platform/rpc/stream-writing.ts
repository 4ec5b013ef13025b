import type { Http2Stream } from 'node:http2';

/**
 * Writes one message; resolves when the next one may follow. Also resolves when the stream is gone: the
 * reading side is where a call learns how it ended.
 */
export async function writeFrame(stream: Http2Stream, frame: Buffer): Promise<void> {
  if (stream.destroyed || stream.writableEnded || stream.write(frame)) return;
  await new Promise<void>((resolve) => {
    const onFree = (): void => {
      stream.off('drain', onFree);
      stream.off('close', onFree);
      resolve();
    };
    stream.once('drain', onFree);
    stream.once('close', onFree);
  });
}
