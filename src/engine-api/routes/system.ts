import { clusterInfoToJson } from '../convert/index.js';
import { ApiError, jsonResponse, renderError, type HttpRequest, type HttpResponse, type Route } from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';
import { findCluster } from './swarm.js';

/** What `docker info` warns of with exactly two managers: its layout is Docker's (engine-api E-272). */
const TWO_MANAGERS = `WARNING: Running Swarm in a two-manager configuration. This configuration provides
         no fault tolerance, and poses a high risk to lose control over the cluster.
         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the
         Swarm for fault-tolerance.`;

const PING_HEADERS = {
  'Cache-Control': 'no-cache, no-store, must-revalidate',
  Pragma: 'no-cache',
  'Builder-Version': '1',
  'Content-Type': 'text/plain; charset=utf-8',
} as const;

/** Routes of the engine itself that clients need around swarm work (engine-api E-271 to E-278). */
export function systemRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/_ping', handler: async (request) => ping(context, request) },
    { method: 'HEAD', path: '/_ping', handler: async (request) => ping(context, request) },
    { method: 'GET', path: '/version', handler: () => version(context) },
    { method: 'GET', path: '/info', handler: (request) => info(context, request) },
    { method: 'GET', path: '/distribution/*', handler: distribution },
  ];
}

function ping(context: RouteContext, request: HttpRequest): HttpResponse {
  const swarm = request.version.lessThan('1.42') ? {} : { Swarm: swarmHeader(context) };
  return { status: 200, headers: { ...PING_HEADERS, ...swarm }, body: request.method === 'HEAD' ? '' : 'OK' };
}

function swarmHeader(context: RouteContext): string {
  const { state, view } = context.node.status();
  if (state !== 'active') return state;
  return view?.role === 'swarm-manager' ? 'active/manager' : 'active/worker';
}

async function version(context: RouteContext): Promise<HttpResponse> {
  const system = await context.systemInfo();
  const details = {
    ApiVersion: system.apiVersion,
    Arch: system.goArchitecture,
    KernelVersion: system.kernelVersion,
    MinAPIVersion: system.minApiVersion,
    Os: system.os,
  };
  return jsonResponse(200, {
    Platform: { Name: 'swarmkit-ts' },
    Components: [{ Name: 'Engine', Version: system.productVersion, Details: details }],
    Version: system.productVersion,
    ...details,
    GitCommit: '',
    GoVersion: '',
    BuildTime: '',
  });
}

async function info(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const system = await context.systemInfo();
  const swarm = await swarmInfo(context, request);
  return jsonResponse(200, {
    ID: system.id,
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 0,
    Driver: system.executor,
    DriverStatus: null,
    Plugins: { Volume: ['local'], Network: ['host', 'null'], Authorization: null, Log: ['json-file'] },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    BridgeNfIptables: true,
    BridgeNfIp6tables: true,
    Debug: false,
    NFd: 0,
    OomKillDisable: false,
    NGoroutines: 0,
    SystemTime: new Date(context.clock.nowMs()).toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: '2',
    NEventsListener: 0,
    KernelVersion: system.kernelVersion,
    OperatingSystem: system.operatingSystem,
    OSVersion: '',
    OSType: system.os,
    Architecture: system.kernelArchitecture,
    IndexServerAddress: '',
    RegistryConfig: null,
    NCPU: system.cpus,
    MemTotal: system.memoryBytes,
    GenericResources: null,
    DockerRootDir: system.rootDir,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: system.hostname,
    Labels: system.labels,
    ExperimentalBuild: false,
    ServerVersion: system.productVersion,
    Runtimes: {},
    DefaultRuntime: '',
    Swarm: swarm,
    LiveRestoreEnabled: false,
    Isolation: '',
    InitBinary: '',
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: '' },
    InitCommit: { ID: '' },
    SecurityOptions: [],
    Warnings: swarm['Warnings'] ?? null,
  });
}

/** The swarm part of `/info` (engine-api E-272). */
async function swarmInfo(context: RouteContext, request: HttpRequest): Promise<Record<string, unknown>> {
  const status = context.node.status();
  const managers = status.view?.managers ?? [];
  const base = {
    NodeID: status.view?.nodeId ?? '',
    NodeAddr: status.nodeAddr,
    LocalNodeState: status.state,
    ControlAvailable: false,
    Error: status.error,
    RemoteManagers:
      managers.length === 0
        ? null
        : managers.map(({ peer }) => ({ NodeID: peer?.nodeId ?? '', Addr: peer?.addr ?? '' })),
  };
  if (!status.isManager) return base;
  try {
    return { ...base, ControlAvailable: true, ...(await managerInfo(context, request)) };
  } catch (error) {
    return { ...base, ControlAvailable: true, Error: renderError(error).message };
  }
}

async function managerInfo(context: RouteContext, request: HttpRequest): Promise<Record<string, unknown>> {
  const cluster = await findCluster(context, request);
  const { control, options } = managerCall(context, request);
  const { nodes } = await control.listNodes({}, options);
  const managers = nodes.filter(({ managerStatus }) => managerStatus !== undefined).length;
  return {
    Nodes: nodes.length,
    ...(managers === 0 ? {} : { Managers: managers }),
    Cluster: clusterInfoToJson(cluster, context.rootIssuer(cluster.rootCa?.caCert ?? new Uint8Array())),
    ...(managers === 2 ? { Warnings: [TWO_MANAGERS] } : {}),
  };
}

/** No registry is asked by managers: clients take the refusal as "use the image as it is named" (E-276). */
async function distribution(request: HttpRequest): Promise<HttpResponse> {
  const image = (request.params['*'] ?? '').replace(/\/json$/, '');
  throw new ApiError(
    'system',
    `the digest of image ${image} is not looked up: nodes resolve images when they pull them`,
  );
}
