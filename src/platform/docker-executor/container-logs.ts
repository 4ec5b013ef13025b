import { create } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';

import { LogThrottle } from '../../agent/exec/index.js';
import type { ControllerLogMessage, LogSelection } from '../../agent/exec/index.js';
import { LogAttrSchema, LogStream } from '../../api/index.js';
import { logFrames, parseLogLine, rawLines, type Frame } from '../docker-client/index.js';
import { containerPath, type Engine } from './engine.js';

/** The selected output of a container; with `follow` until it ends. */
export async function* containerLogs(
  engine: Engine,
  name: string,
  tty: boolean,
  selection: LogSelection,
  signal: AbortSignal,
): AsyncGenerator<ControllerLogMessage, void, undefined> {
  const throttle = new LogThrottle(engine.clock);
  const chunks = engine.client.stream(
    {
      method: 'GET',
      path: `${containerPath(name)}/logs`,
      query: {
        stdout: selection.stdout,
        stderr: selection.stderr,
        follow: selection.follow,
        timestamps: true,
        details: true,
        tail: selection.tail ?? 'all',
        since: selection.sinceMs === 0 ? undefined : (selection.sinceMs / 1000).toFixed(9),
      },
    },
    signal,
  );
  for await (const frame of tty ? rawLines(chunks) : logFrames(chunks)) {
    yield messageOf(frame);
    await throttle.passed(frame.data.length, signal);
  }
}

function messageOf({ stream, data: line }: Frame): ControllerLogMessage {
  const { seconds, nanos, attributes, data } = parseLogLine(line);
  return {
    timestamp: create(TimestampSchema, { seconds, nanos }),
    stream: stream === 'stderr' ? LogStream.STDERR : LogStream.STDOUT,
    attrs: attributes.map(([key, value]) => create(LogAttrSchema, { key, value })),
    data,
  };
}
