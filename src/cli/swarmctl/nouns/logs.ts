import type { MessageInitShape } from '@bufbuild/protobuf';
import { Option } from 'commander';

import { LogStream, type LogMessage, type LogSelectorSchema } from '../../../api/index.js';
import { LogLines } from '../log-lines.js';
import type { Noun } from '../program.js';
import { timestampText } from '../render/json.js';
import type { Session } from '../session.js';
import { parseCount } from '../values/amounts.js';
import { parseSince } from '../values/duration.js';

interface LogFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

/** Adds a command that shows logs. */
export function addLogsCommand(
  noun: Noun,
  command: {
    readonly usage: string;
    readonly description: string;
    readonly selectorOf: (
      session: Session,
      operands: readonly string[],
    ) => Promise<MessageInitShape<typeof LogSelectorSchema>>;
  },
): void {
  noun.command<LogFlags>(
    {
      usage: command.usage,
      aliases: ['log'],
      description: command.description,
      options: [
        new Option('-f, --follow', 'go on with what will be printed'),
        new Option('--tail <lines>', 'only the last lines of each task (default all)'),
        new Option('--since <time>', 'only what is newer: 10m, 2026-01-31T12:00:00Z'),
        new Option('-t, --timestamps', 'show when each line was printed'),
      ],
    },
    async (session, operands, flags) => {
      const options = {
        follow: flags.follow === true,
        tail: tailOf(flags.tail),
        ...(flags.since === undefined ? {} : { since: parseSince('--since', flags.since, session.clock.nowMs()) }),
      };
      const selector = await command.selectorOf(session, operands);
      await show(session, { selector, options }, flags.timestamps === true);
    },
  );
}

/** SwarmKit takes 0 for all lines and -(n + 1) for the last n. */
function tailOf(given: string | undefined): bigint {
  return given === undefined || given === 'all' ? 0n : -(parseCount('--tail', given) + 1n);
}

async function show(
  session: Session,
  request: Parameters<Session['logs']['subscribeLogs']>[0],
  timestamps: boolean,
): Promise<void> {
  const lines = new LogLines(session);
  for await (const { messages } of session.logs.subscribeLogs(request, session.stream)) {
    for (const message of messages) {
      const prefix = `${timestamps ? `${timeOf(message)} ` : ''}${await lines.prefixOf(message)}`;
      const line = Buffer.concat([
        Buffer.from(prefix),
        message.data,
        Buffer.from(message.data.at(-1) === 0x0a ? '' : '\n'),
      ]);
      if (message.stream === LogStream.STDERR) await session.terminal.writeError(line);
      else await session.terminal.write(line);
    }
  }
}

function timeOf({ timestamp }: LogMessage): string {
  return timestamp === undefined ? '' : timestampText(timestamp);
}
