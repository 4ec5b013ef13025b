import { parseGenericResources } from '../../api/index.js';
import type { NodeDeps } from '../../node/index.js';
import {
  AesGcm,
  createRpcNetwork,
  CryptoRandom,
  hostAddress,
  NodeDisk,
  PinoLogger,
  SqliteAgentDatabase,
  SystemClock,
  WEB_CRYPTO,
} from '../../platform/index.js';
import { PRODUCT_VERSION } from '../product.js';
import { createExecutor } from './executor.js';
import type { DaemonFlags } from './daemon.js';

/** Everything real that a node is built on. */
export interface World {
  readonly deps: NodeDeps;
  /** Removes what tasks of this node left behind, when it leaves its swarm. */
  readonly removeTasks: (nodeId: string) => Promise<void>;
}

/** Builds the real world for these flags. InvalidArgument naming the flag that is wrong. */
export function createWorld(flags: DaemonFlags): World {
  const clock = new SystemClock();
  const random = new CryptoRandom();
  const log = PinoLogger.create({ level: flags.logLevel });
  const { executor, removeTasks } = createExecutor(
    {
      kind: flags.executor,
      stateDir: flags.stateDir,
      engineAddr: flags.engineAddr,
      engineVersion: PRODUCT_VERSION,
      labels: labelsOf(flags.label),
      genericResources: parseGenericResources(flags.genericNodeResources ?? ''),
      ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    },
    { clock, random, log },
  );
  return {
    deps: {
      disk: new NodeDisk(),
      clock,
      random,
      log,
      network: createRpcNetwork({ clock, log }),
      crypto: WEB_CRYPTO,
      aead: new AesGcm(),
      executor,
      openDatabase: (path) => new SqliteAgentDatabase(path),
      hostAddress,
    },
    removeTasks: (nodeId) => removeTasks(nodeId, new AbortController().signal),
  };
}

function labelsOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((label) => {
      const at = label.indexOf('=');
      return at < 0 ? [label, ''] : [label.slice(0, at), label.slice(at + 1)];
    }),
  );
}
