import { setMaxListeners } from 'node:events';

import { canceled, type Logger } from '../../base/index.js';
import { parseUnlockKey } from '../../ca/index.js';
import { Node, type NodeOptions } from '../../node/index.js';
import { runEngine } from './engine.js';
import { createWorld } from './world.js';

/** Command-line flags of swarmd. */
export interface DaemonFlags {
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly stateDir: string;
  readonly hostname?: string;
  readonly joinAddr?: string;
  readonly joinToken?: string;
  readonly listenRemoteApi: string;
  readonly advertiseRemoteApi?: string;
  readonly listenControlApi?: string;
  readonly engineApi?: string;
  readonly defaultAdvertiseAddr?: string;
  readonly executor: 'process' | 'docker';
  readonly engineAddr: string;
  readonly genericNodeResources?: string;
  readonly label: readonly string[];
  readonly autolock?: boolean;
  readonly unlockKey?: string;
}

const DEFAULT_STATE_DIR = '/var/lib/swarmd';
const DEFAULT_SOCKET = '/var/run/swarmd.sock';

/** How long a daemon may take to stop before it is ended at once (engine-api E-315). */
const STOP_TIMEOUT_MS = 15_000;

/** Runs the daemon until it is told to stop; returns the exit code. */
export async function runDaemon(given: DaemonFlags): Promise<number> {
  // Many parts wait on one stop signal: that is the design, not a leak.
  setMaxListeners(0);
  const flags: DaemonFlags = { ...given, stateDir: absolute(given.stateDir) };
  const world = createWorld(flags);
  const signal = stopSignal(world.deps.log);
  try {
    if (flags.engineApi === undefined) await runNode(flags, world, signal);
    else await runEngine(flags, flags.engineApi, controlSocket(flags), world, signal);
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    throw error;
  } finally {
    await world.deps.executor.close();
  }
}

async function runNode(flags: DaemonFlags, world: ReturnType<typeof createWorld>, signal: AbortSignal): Promise<void> {
  const node = new Node(nodeOptions(flags), world.deps);
  node.ready.then(
    () => world.deps.log.info({ 'node.id': node.view().nodeId, role: node.view().role }, 'node is ready'),
    () => undefined,
  );
  await node.run(signal);
}

function nodeOptions(flags: DaemonFlags): NodeOptions {
  return {
    stateDir: flags.stateDir,
    listenRemoteApi: flags.listenRemoteApi,
    listenControlApi: controlSocket(flags),
    ...(flags.advertiseRemoteApi === undefined ? {} : { advertiseRemoteApi: flags.advertiseRemoteApi }),
    ...(flags.joinAddr === undefined ? {} : { joinAddr: flags.joinAddr }),
    ...(flags.joinToken === undefined ? {} : { joinToken: flags.joinToken }),
    ...(flags.autolock === undefined ? {} : { autoLockManagers: flags.autolock }),
    ...(flags.unlockKey === undefined ? {} : { unlockKey: parseUnlockKey(flags.unlockKey) }),
  };
}

function controlSocket(flags: DaemonFlags): string {
  if (flags.listenControlApi !== undefined) return flags.listenControlApi.replace(/^unix:\/\//, '');
  return flags.stateDir === DEFAULT_STATE_DIR ? DEFAULT_SOCKET : `${flags.stateDir}/swarmd.sock`;
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `${process.cwd()}/${path.replace(/^\.\//, '')}`;
}

/** Aborts at the first SIGINT or SIGTERM; a second one, or a stop that takes too long, ends the process. */
function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(1);
    log.info({ signal: name }, 'stopping');
    stop.abort(canceled('swarmd'));
    setTimeout(() => {
      log.error({}, 'stopping took too long');
      process.exit(1);
    }, STOP_TIMEOUT_MS).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return stop.signal;
}
