import type { Cluster } from '../../api/index.js';
import { Code, isSwarmError, sleep, SwarmError } from '../../base/index.js';
import { formatUnlockKey } from '../../ca/index.js';
import { TEXTS } from '../cluster/index.js';
import { clusterSpecFromJson, swarmToJson } from '../convert/index.js';
import {
  ApiError,
  jsonResponse,
  JsonObject,
  looseBoolean,
  readJsonBody,
  strictBoolean,
  versionParameter,
  type HttpRequest,
  type HttpResponse,
  type Route,
} from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';

/** How often and how long a new swarm's cluster object is looked for (engine-api E-323). */
const CLUSTER_POLLS_MAX = 10;
const CLUSTER_POLL_MS = 200;

/** Deadline of applying the spec of an init (engine-api E-323). */
const INIT_SPEC_TIMEOUT_MS = 5_000;

/** Routes under `/swarm` (engine-api E-201 to E-207). */
export function swarmRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'POST', path: '/swarm/init', handler: (request) => initSwarm(context, request) },
    { method: 'POST', path: '/swarm/join', handler: (request) => joinSwarm(context, request) },
    { method: 'POST', path: '/swarm/leave', handler: (request) => leaveSwarm(context, request) },
    { method: 'GET', path: '/swarm', handler: (request) => inspectSwarm(context, request) },
    { method: 'POST', path: '/swarm/update', handler: (request) => updateSwarm(context, request) },
    { method: 'GET', path: '/swarm/unlockkey', handler: (request) => getUnlockKey(context, request) },
    { method: 'POST', path: '/swarm/unlock', handler: (request) => unlockSwarm(context, request) },
  ];
}

async function initSwarm(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  const spec = body.object('Spec') ?? new JsonObject({}, 'Spec');
  const poolsKnown = !request.version.lessThan('1.39');
  const nodeId = await context.node.init({
    name: spec.string('Name'),
    listenAddr: body.string('ListenAddr'),
    advertiseAddr: body.string('AdvertiseAddr'),
    dataPathAddr: body.string('DataPathAddr'),
    dataPathPort: request.version.lessThan('1.40') ? 0 : body.unsigned32('DataPathPort'),
    forceNewCluster: body.boolean('ForceNewCluster'),
    autoLockManagers: body.boolean('AutoLockManagers'),
    availability: body.string('Availability'),
    defaultAddressPool: poolsKnown && body.has('DefaultAddrPool') ? body.strings('DefaultAddrPool') : undefined,
    subnetSize: poolsKnown ? body.unsigned32('SubnetSize') : 0,
  });
  await applyInitSpec(context, request, spec);
  return jsonResponse(200, nodeId);
}

/** The spec is applied once the swarm runs; a spec that is refused leaves the new swarm standing (E-323). */
async function applyInitSpec(context: RouteContext, request: HttpRequest, spec: JsonObject): Promise<void> {
  const { control } = managerCall(context, request);
  const options = { signal: request.signal, timeoutMs: INIT_SPEC_TIMEOUT_MS };
  for (let poll = 0; poll < CLUSTER_POLLS_MAX; poll++) {
    const [cluster] = (await control.listClusters({}, options)).clusters;
    if (cluster === undefined) {
      await sleep(context.clock, CLUSTER_POLL_MS, request.signal);
      continue;
    }
    try {
      await control.updateCluster(
        {
          clusterId: cluster.id,
          clusterVersion: { index: cluster.meta?.version?.index ?? 0n },
          ...(cluster.spec === undefined ? {} : { spec: clusterSpecFromJson(spec, cluster.spec) }),
        },
        options,
      );
      return;
    } catch (error) {
      // Other components write the young cluster object too: look again at its version.
      if (isSwarmError(error, Code.UNKNOWN) && poll < CLUSTER_POLLS_MAX - 1) continue;
      const text = error instanceof SwarmError ? error.rpcText : String(error);
      throw new ApiError('system', `error updating cluster settings: ${text}`, error);
    }
  }
  throw new ApiError('system', 'error updating cluster settings: the cluster object did not appear');
}

async function joinSwarm(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  await context.node.join(
    {
      listenAddr: body.string('ListenAddr'),
      advertiseAddr: body.string('AdvertiseAddr'),
      dataPathAddr: body.string('DataPathAddr'),
      remoteAddrs: body.strings('RemoteAddrs'),
      joinToken: body.string('JoinToken'),
      availability: body.string('Availability'),
    },
    request.signal,
  );
  return { status: 200 };
}

async function leaveSwarm(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  await context.node.leave(looseBoolean(request.query, 'force'));
  return { status: 200 };
}

/** The one cluster object. */
export async function findCluster(context: RouteContext, request: HttpRequest): Promise<Cluster> {
  const { control, options } = managerCall(context, request);
  const [cluster] = (await control.listClusters({}, options)).clusters;
  if (cluster === undefined) throw new ApiError('not-found', 'Cluster not found');
  return cluster;
}

async function inspectSwarm(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const cluster = await findCluster(context, request);
  return jsonResponse(200, swarmToJson(cluster, context.rootIssuer(cluster.rootCa?.caCert ?? new Uint8Array())));
}

async function updateSwarm(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  const index = versionParameter(request.query, (text) => `invalid swarm version '${text}'`);
  const [worker, manager, unlockKey] = (
    ['rotateWorkerToken', 'rotateManagerToken', 'rotateManagerUnlockKey'] as const
  ).map((name) => rotationFlag(request, name));
  const cluster = await findCluster(context, request);
  const given = clusterSpecFromJson(body);
  const name = given.annotations?.name ?? '';
  if (name !== '' && name !== 'default') throw wrongName();
  const annotations = given.annotations === undefined ? undefined : { ...given.annotations, name: 'default' };
  const { control, options } = managerCall(context, request);
  await control.updateCluster(
    {
      clusterId: cluster.id,
      clusterVersion: { index },
      spec: { ...given, ...(annotations === undefined ? {} : { annotations }) },
      rotation: {
        workerJoinToken: worker ?? false,
        managerJoinToken: manager ?? false,
        managerUnlockKey: unlockKey ?? false,
      },
    },
    options,
  );
  return { status: 200 };
}

function wrongName(): ApiError {
  return new ApiError('invalid-parameter', TEXTS.wrongName);
}

function rotationFlag(request: HttpRequest, name: string): boolean {
  try {
    return strictBoolean(request.query, name);
  } catch (error) {
    throw new ApiError('invalid-parameter', `invalid value for ${name}: ${request.query.get(name) ?? ''}`, error);
  }
}

async function getUnlockKey(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const { manager, options } = managerCall(context, request);
  const { unlockKey } = await manager.ca.getUnlockKey({}, options);
  return jsonResponse(200, { UnlockKey: unlockKey.length === 0 ? '' : formatUnlockKey(unlockKey) });
}

async function unlockSwarm(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  await context.node.unlock(body.string('UnlockKey'));
  return { status: 200 };
}
