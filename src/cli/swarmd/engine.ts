import { setImmediate } from 'node:timers/promises';

import { newId, orAborted } from '../../base/index.js';
import { rootIssuer } from '../../ca/index.js';
import { EventLog, engineRoutes, LocalNode, Router, type RouteContext } from '../../engine-api/index.js';
import { Node } from '../../node/index.js';
import { hostInterfaces, HttpServer, parseHttpAddress, sourceAddress, systemInfo } from '../../platform/index.js';
import { API_VERSION, MIN_API_VERSION, PRODUCT_VERSION } from '../product.js';
import type { DaemonFlags } from './daemon.js';
import type { World } from './world.js';

const ENGINE_ID_FILE = 'engine-id';

/** Serves the Engine API; the node is started, stopped and erased through it. */
export async function runEngine(
  flags: DaemonFlags,
  url: string,
  controlSocket: string,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const { deps } = world;
  const { clock, random, log, disk } = deps;
  const address = parseHttpAddress(url);
  await disk.makeDirectory(flags.stateDir, 0o700);
  const node = new LocalNode(
    { stateDir: `${flags.stateDir}/swarm`, controlSocket, defaultAdvertiseAddr: flags.defaultAdvertiseAddr ?? '' },
    {
      disk,
      clock,
      log,
      interfaces: hostInterfaces,
      sourceAddress,
      createNode: (options) => new Node(options, deps),
      removeTasks: (nodeId) => world.removeTasks(nodeId),
    },
  );
  const own = {
    id: await engineId(flags.stateDir, world),
    rootDir: flags.stateDir,
    productVersion: PRODUCT_VERSION,
    apiVersion: API_VERSION,
    minApiVersion: MIN_API_VERSION,
    executor: flags.executor,
    labels: flags.label,
  };
  const context: RouteContext = {
    node,
    clock,
    random,
    log,
    systemInfo: async () => systemInfo(own),
    rootIssuer: rootIssuerOf,
    yieldLoop: () => setImmediate(),
  };
  const events = new EventLog({ node, clock, log });
  const router = new Router(
    { apiVersion: API_VERSION, minApiVersion: MIN_API_VERSION, productVersion: PRODUCT_VERSION },
    { log, routes: engineRoutes(context, events) },
  );
  const resumed = Promise.withResolvers<void>();
  // Requests wait until the node of an earlier run is back, or has had its time (engine-api E-313).
  const server = await HttpServer.listen(address, {
    handle: async (request) => {
      await resumed.promise;
      return router.handle(request);
    },
  });
  try {
    await Promise.all([
      events.run(signal),
      node.resume(signal).then(() => {
        resumed.resolve();
        log.info({ 'engine.api': url }, 'Engine API is served');
      }),
      orAborted(new Promise<never>(() => undefined), signal),
    ]);
  } finally {
    resumed.resolve();
    await server.close();
    await node.stop();
  }
}

/** Nothing is known of the root before there is one. */
function rootIssuerOf(bundle: Uint8Array): ReturnType<RouteContext['rootIssuer']> {
  if (bundle.length === 0) return { certIssuerSubject: new Uint8Array(), certIssuerPublicKey: new Uint8Array() };
  const { subject, publicKey } = rootIssuer(bundle);
  return { certIssuerSubject: subject, certIssuerPublicKey: publicKey };
}

/** An id of this engine that stays the same over restarts and swarms. */
async function engineId(stateDir: string, { deps }: World): Promise<string> {
  const path = `${stateDir}/${ENGINE_ID_FILE}`;
  if (await deps.disk.exists(path)) return new TextDecoder().decode(await deps.disk.readFile(path)).trim();
  const id = newId(deps.random);
  await deps.disk.writeFileAtomic(path, new TextEncoder().encode(`${id}\n`), 0o600);
  return id;
}
