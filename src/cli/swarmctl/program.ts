import { Command, CommanderError, Option } from 'commander';

import { errorText, isSwarmError, Code, type Clock } from '../../base/index.js';
import type { RpcChannel } from '../../api/index.js';
import { normalizeSwitches } from './arguments.js';
import { oneLine } from './render/text.js';
import { Session, type GlobalFlags } from './session.js';
import type { Terminal } from './terminal.js';
import { UsageError } from './usage-error.js';
import { splitList } from './values/csv.js';

/** Where swarmd listens unless told otherwise. */
export const DEFAULT_SOCKET = '/var/run/swarmd.sock';

/** How the program ends: 130 is what shells give for an interrupt. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Everything outside of the program. */
export interface World {
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
  dial(path: string): RpcChannel;
  /** Why nothing answers on a socket; undefined where somebody listens. */
  socketProblem(path: string): Promise<string | undefined>;
}

/** What a command does. Arguments are its operands; options those it declares. */
export type Body<O> = (session: Session, args: readonly string[], options: O) => Promise<void>;

/** A command, short of what it does. */
export interface CommandShape {
  /** Name and operands as commander writes them: `inspect <node>`. */
  readonly usage: string;
  readonly aliases?: readonly string[];
  readonly description: string;
  readonly options?: readonly Option[];
}

/** A failure that has been reported already. */
export class ReportedFailure extends Error {}

/** The tree of commands, and what they share: global flags, one connection, one way to fail. */
export class Program {
  readonly #world: World;
  readonly #root: Tool;
  /** What commander printed: help, version. Written when parsing is over. */
  readonly #printed: { out: string; err: string } = { out: '', err: '' };

  constructor(world: World) {
    this.#world = world;
    this.#root = new Tool('swarmctl')
      .description('Controls a swarm through the control socket of one of its managers.')
      .version(world.version, '-v, --version')
      .exitOverride()
      .enablePositionalOptions()
      .configureOutput({
        writeOut: (text) => (this.#printed.out += text),
        writeErr: (text) => (this.#printed.err += text),
        outputError: () => undefined,
      });
    addGlobalFlags(this.#root, world.environment);
  }

  /** A group of commands about one kind of object. */
  noun(name: string, description: string, aliases: readonly string[] = []): Noun {
    const command = this.#root.command(name).description(description);
    for (const alias of aliases) command.alias(alias);
    addGlobalFlags(command, this.#world.environment);
    return new Noun(command, (shape, body) => this.#add(command, shape, body));
  }

  /** A command without a noun. */
  command<O>(shape: CommandShape, body: Body<O>): void {
    this.#add(this.#root, shape, body);
  }

  /** Runs the command that the arguments name; gives the exit code. */
  async run(args: readonly string[]): Promise<number> {
    const { terminal } = this.#world;
    try {
      await this.#root.parseAsync([...args], { from: 'user' });
      return EXIT.ok;
    } catch (error) {
      if (this.#printed.out !== '') await terminal.write(this.#printed.out);
      if (this.#printed.err !== '') await terminal.writeError(this.#printed.err);
      return await this.#report(error);
    }
  }

  #add<O>(parent: Command, { usage, aliases = [], description, options = [] }: CommandShape, body: Body<O>): void {
    const command = parent.command(usage).description(description);
    for (const alias of aliases) command.alias(alias);
    for (const option of options) command.addOption(option);
    addGlobalFlags(command, this.#world.environment);
    command.action(async () => this.#perform(command, body));
  }

  async #perform<O>(command: Command, body: Body<O>): Promise<void> {
    const { terminal, clock, signal, environment } = this.#world;
    const flags = globalFlags(command, environment);
    const channel = this.#world.dial(flags.socket);
    try {
      await body(new Session(flags, channel, terminal, clock, signal), command.args, command.opts<O & object>());
    } catch (error) {
      throw isSwarmError(error, Code.UNAVAILABLE) ? await this.#reachable(error, flags.socket) : error;
    } finally {
      channel.close();
    }
  }

  /** The same error, or a better one where nothing listens on the socket at all. */
  async #reachable(error: Error, socket: string): Promise<Error> {
    const problem = await this.#world.socketProblem(socket);
    if (problem === undefined) return error;
    const remedy = 'start swarmd, or name its socket with --socket PATH or the environment variable SWARM_SOCKET';
    return new Error(`no swarmd listens at ${socket} (${problem}): ${remedy}`);
  }

  async #report(error: unknown): Promise<number> {
    if (error instanceof ReportedFailure) return EXIT.failed;
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    if (this.#world.signal.aborted) return EXIT.interrupted;
    const isHelp = error instanceof CommanderError && error.code === 'commander.help';
    const isUsage = error instanceof CommanderError || error instanceof UsageError;
    if (!isHelp) await this.#world.terminal.writeError(errorLine(error));
    return isUsage ? EXIT.usage : EXIT.failed;
  }
}

/** A group of commands, to which commands are added. */
export class Noun {
  constructor(
    readonly group: Command,
    readonly command: <O>(shape: CommandShape, body: Body<O>) => void,
  ) {}
}

/** A command whose switches may be given `=true` or `=false`. */
class Tool extends Command {
  override createCommand(name?: string): Tool {
    return new Tool(name);
  }

  override parseOptions(given: string[]): ReturnType<Command['parseOptions']> {
    const known = this.options.map(({ long, short, required, optional }) => ({
      long,
      short,
      takesValue: required || optional,
    }));
    return super.parseOptions(normalizeSwitches(given, known));
  }
}

/** An error in one line, as this program prints it. */
export function errorLine(error: unknown): string {
  return `swarmctl: ${oneLine(errorText(error).replace(/^error: /, ''))}\n`;
}

/** An option whose value is a comma-separated list; it may be repeated. */
export function listOption(flags: string, description: string): Option {
  const option = new Option(flags, description);
  const name = option.long ?? flags;
  return option.argParser((text: string, previous: readonly string[] | undefined) => [
    ...(previous ?? []),
    ...splitList(name, text),
  ]);
}

/** An option that may be repeated, and whose values are taken as they are. */
export function repeatedOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string, previous: readonly string[] | undefined) => [
    ...(previous ?? []),
    text,
  ]);
}

/** A switch that can be turned on (`--name`) and off (`--no-name`). */
export function switchOptions(name: string, description: string): readonly Option[] {
  return [new Option(`--${name}`, description), new Option(`--no-${name}`).hideHelp()];
}

/** The same flags for every command, wherever on the line they stand. */
function addGlobalFlags(command: Command, environment: World['environment']): void {
  const socket = environment['SWARM_SOCKET'] ?? DEFAULT_SOCKET;
  const globals = [
    new Option('-s, --socket <path>', `control socket of the manager (env SWARM_SOCKET; default ${socket})`),
    new Option('-n, --no-resolve', 'show ids instead of names'),
    new Option('--format <format>', 'how to print results (default table)').choices(['table', 'json']),
    new Option('--json', 'short for --format json'),
  ];
  for (const option of globals) command.addOption(option.helpGroup('Global options:'));
}

function globalFlags(command: Command, environment: World['environment']): GlobalFlags {
  const given: { socket?: string; resolve?: boolean; format?: string; json?: boolean } = {};
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const key of ['socket', 'resolve', 'format', 'json']) {
      if (at.getOptionValueSource(key) === 'cli' && !Object.hasOwn(given, key)) {
        Object.assign(given, { [key]: at.getOptionValue(key) as unknown });
      }
    }
  }
  const environmentSocket = environment['SWARM_SOCKET'] ?? '';
  const socket = given.socket ?? (environmentSocket === '' ? DEFAULT_SOCKET : environmentSocket);
  return {
    socket: socket.replace(/^unix:\/\//, ''),
    resolve: given.resolve ?? true,
    json: given.format === undefined ? given.json === true : given.format === 'json',
  };
}
