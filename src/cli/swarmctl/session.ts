import type { DescMessage } from '@bufbuild/protobuf';

import {
  CA,
  Control,
  createClient,
  Health,
  Logs,
  type CallOptions,
  type RpcChannel,
  type RpcClient,
} from '../../api/index.js';
import type { Clock } from '../../base/index.js';
import { messageJson, renderJson } from './render/json.js';
import { renderTable, type Column } from './render/table.js';
import type { Terminal } from './terminal.js';

/** How long one question to the cluster may take: longer than an election, shorter than patience. */
const CALL_TIMEOUT_MS = 30_000;

/** The `Control` service as commands call it. */
export type ControlClient = RpcClient<typeof Control>;

/** What the flags common to all commands say. */
export interface GlobalFlags {
  readonly socket: string;
  /** Show names instead of ids. */
  readonly resolve: boolean;
  readonly json: boolean;
}

/** What one command works with. */
export class Session {
  readonly control: ControlClient;
  readonly logs: RpcClient<typeof Logs>;
  readonly health: RpcClient<typeof Health>;
  readonly ca: RpcClient<typeof CA>;
  /** Options of a call that gets one answer. */
  readonly call: CallOptions;
  /** Options of a call that goes on. */
  readonly stream: CallOptions;

  constructor(
    readonly flags: GlobalFlags,
    channel: RpcChannel,
    readonly terminal: Terminal,
    readonly clock: Clock,
    readonly signal: AbortSignal,
  ) {
    this.control = createClient(Control, channel);
    this.logs = createClient(Logs, channel);
    this.health = createClient(Health, channel);
    this.ca = createClient(CA, channel);
    this.call = { signal, timeoutMs: CALL_TIMEOUT_MS };
    this.stream = { signal };
  }

  /** Prints one line or more on standard output. */
  async print(text: string): Promise<void> {
    await this.terminal.write(text.endsWith('\n') ? text : `${text}\n`);
  }

  /** Says something that is no result of the command. */
  async note(text: string): Promise<void> {
    await this.terminal.writeError(`${text}\n`);
  }

  /** Prints an object: in JSON where that was asked for, else as the page that `render` makes. */
  async printObject(schema: DescMessage, object: object, render: () => Promise<string>): Promise<void> {
    await this.print(this.flags.json ? renderJson(messageJson(schema, object)) : await render());
  }

  /** Prints objects: only their ids, as a JSON array, or as a table. */
  async printList(
    list: {
      readonly schema: DescMessage;
      readonly objects: readonly { readonly id: string }[];
      readonly columns: readonly Column[];
      readonly rows: () => Promise<readonly (readonly string[])[]>;
    },
    quiet: boolean,
  ): Promise<void> {
    if (quiet) await this.terminal.write(list.objects.map(({ id }) => `${id}\n`).join(''));
    else if (this.flags.json)
      await this.print(renderJson(list.objects.map((object) => messageJson(list.schema, object))));
    else await this.print(this.table(list.columns, await list.rows()));
  }

  /** A table that fits the terminal. */
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
    return renderTable(columns, rows, this.terminal.columns);
  }
}
