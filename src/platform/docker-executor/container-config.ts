import { containerLabels, containerSpec, genericResourceEnv, hostPorts } from '../../agent/exec/index.js';
import { PortConfig_Protocol, nsFromDuration, parseImageReference } from '../../api/index.js';
import type { ContainerSpec, HealthConfig, PortConfig, Task } from '../../api/index.js';
import type { PortBinding } from '../docker-client/index.js';
import { engineMount, shortBind, type EngineMount } from './mounts.js';
import { networkMode, endpointsConfig } from './networks.js';
import { securityOptions } from './privileges.js';

/** A file of the host that a container sees read-only: a secret or config. */
export interface BoundFile {
  readonly source: string;
  readonly target: string;
}

/** What a container is made of besides its task. */
export interface ContainerSurroundings {
  /** Whether the engine sees the same files as the agent. */
  readonly sharedFiles: boolean;
  readonly boundFiles: readonly BoundFile[];
}

/** The body of the engine's create request for a task. */
export function createRequest(task: Task, surroundings: ContainerSurroundings): object {
  const container = containerSpec(task);
  return {
    ...configOf(task, container),
    HostConfig: hostConfig(task, container, surroundings),
    NetworkingConfig: { EndpointsConfig: endpointsConfig(task) },
  };
}

function configOf(task: Task, container: ContainerSpec): object {
  const ports = hostPorts(task);
  return {
    Image: imageName(container.image),
    Labels: containerLabels(task),
    StopSignal: container.stopSignal,
    Tty: container.tty,
    OpenStdin: container.openStdin,
    User: container.user,
    Env: [...container.env, ...genericResourceEnv(task)],
    Hostname: container.hostname,
    WorkingDir: container.dir,
    ExposedPorts: Object.fromEntries(ports.map((port) => [portKey(port), {}])),
    ...(container.healthcheck === undefined ? {} : { Healthcheck: healthcheckOf(container.healthcheck) }),
    ...invocation(container),
  };
}

/** A command replaces the image's entrypoint; arguments alone are given to it. */
function invocation({ command, args }: ContainerSpec): object {
  if (command.length > 0) return { Entrypoint: command, Cmd: args };
  return args.length > 0 ? { Cmd: args } : {};
}

function healthcheckOf(config: HealthConfig): object {
  const { test, interval, timeout, startPeriod, startInterval, retries } = config;
  const ns = (duration: typeof interval) => (duration === undefined ? 0 : Number(nsFromDuration(duration)));
  return {
    Test: test,
    Interval: ns(interval),
    Timeout: ns(timeout),
    StartPeriod: ns(startPeriod),
    Retries: retries,
    // Older engines do not know it and refuse nothing they do not know.
    ...(startInterval === undefined ? {} : { StartInterval: ns(startInterval) }),
  };
}

function hostConfig(task: Task, container: ContainerSpec, { sharedFiles, boundFiles }: ContainerSurroundings): object {
  const binds: string[] = [];
  const mounts: EngineMount[] = [];
  for (const mount of container.mounts) {
    const bind = sharedFiles ? shortBind(mount) : undefined;
    if (bind === undefined) mounts.push(engineMount(mount));
    else binds.push(bind);
  }
  for (const { source, target } of boundFiles) {
    mounts.push({ Type: 'bind', Source: source, Target: target, ReadOnly: true });
  }
  const mode = networkMode(task);
  return {
    ...resourcesOf(task, container),
    Binds: binds,
    Mounts: mounts,
    GroupAdd: container.groups,
    PortBindings: portBindings(hostPorts(task)),
    ReadonlyRootfs: container.readOnly,
    Sysctls: container.sysctls,
    CapAdd: container.capabilityAdd,
    CapDrop: container.capabilityDrop,
    OomScoreAdj: Number(container.oomScoreAdj),
    SecurityOpt: securityOptions(container.privileges),
    ExtraHosts: container.hosts.flatMap(extraHost),
    ...(container.dnsConfig === undefined
      ? {}
      : {
          Dns: container.dnsConfig.nameservers,
          DnsSearch: container.dnsConfig.search,
          DnsOptions: container.dnsConfig.options,
        }),
    ...(container.init === undefined ? {} : { Init: container.init }),
    ...(mode === undefined ? {} : { NetworkMode: mode }),
    ...(task.logDriver === undefined
      ? {}
      : { LogConfig: { Type: task.logDriver.name, Config: task.logDriver.options } }),
  };
}

function resourcesOf(task: Task, container: ContainerSpec): object {
  const { limits, swapBytes, memorySwappiness } = task.spec?.resources ?? {};
  const memory = Number(limits?.memoryBytes ?? 0n);
  const nanoCpus = Number(limits?.nanoCpus ?? 0n);
  const pids = Number(container.pidsLimit);
  return {
    Ulimits: container.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: Number(soft), Hard: Number(hard) })),
    ...(pids > 0 ? { PidsLimit: pids } : {}),
    ...(memory > 0 ? { Memory: memory, ...memorySwap(memory, swapBytes) } : {}),
    ...(memorySwappiness === undefined ? {} : { MemorySwappiness: Number(memorySwappiness) }),
    ...(nanoCpus > 0 ? { NanoCpus: nanoCpus } : {}),
  };
}

/** The engine counts memory and swap together; -1 is no limit on swap. */
function memorySwap(memory: number, swapBytes: bigint | undefined): object {
  if (swapBytes === undefined) return {};
  return { MemorySwap: swapBytes < 0n ? -1 : memory + Number(swapBytes) };
}

/** `address name alias...` of the hosts file as the engine's `name:address`; aliases are left out there too. */
function extraHost(entry: string): string[] {
  const [address, name] = entry.trim().split(/\s+/);
  return address === undefined || name === undefined ? [] : [`${name}:${address}`];
}

function portBindings(ports: readonly PortConfig[]): Record<string, PortBinding[]> {
  return Object.fromEntries(
    ports.map((port) => [portKey(port), [{ HostPort: port.publishedPort === 0 ? '' : String(port.publishedPort) }]]),
  );
}

function portKey({ targetPort, protocol }: PortConfig): string {
  return `${targetPort}/${PortConfig_Protocol[protocol].toLowerCase()}`;
}

/** The image as the engine is asked for it: with a tag where it has neither tag nor digest. */
export function imageName(image: string): string {
  if (isImageId(image)) return image;
  try {
    const { tag, digest } = parseImageReference(image);
    return tag === undefined && digest === undefined ? `${image}:latest` : image;
  } catch {
    return image;
  }
}

/** Whether the image is named by its id, so that there is nothing to pull. */
export function isImageId(image: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(image);
}
