import {
  PortConfig_PublishMode,
  type Network,
  type PortConfig,
  type Service,
  type ServiceSpec,
} from '../../api/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import { counted, failedPrecondition, invalidArgument } from './errors.js';

/** Marks the ingress network of clusters from before networks had a field for it. Source: SwarmKit. */
const LEGACY_INGRESS_LABEL = 'com.docker.swarm.internal';
const LEGACY_INGRESS_NAME = 'ingress';

/** The networks of a spec exist, and none is the ingress network. */
export function checkNetworks(tx: ReadTransaction, spec: ServiceSpec): void {
  for (const { target } of [...(spec.task?.networks ?? []), ...spec.networks]) {
    const network = tx.get('network', target);
    if (network === undefined) throw invalidArgument(`network ${target} not found`);
    if (isIngressNetwork(network)) {
      const name = JSON.stringify(network.spec?.annotations?.name ?? '');
      throw invalidArgument(`Service cannot be explicitly attached to the ingress network ${name}`);
    }
  }
}

/** Published through the routing mesh, a service needs the network that carries it. */
export function checkIngress(tx: ReadTransaction, spec: ServiceSpec | undefined): void {
  const needed = spec?.endpoint?.ports.some(({ publishMode }) => publishMode === PortConfig_PublishMode.INGRESS);
  if (needed === true && !tx.find('network', by.all()).some(isIngressNetwork)) {
    throw failedPrecondition('service needs ingress network, but no ingress network is present');
  }
}

function isIngressNetwork({ spec }: Network): boolean {
  if (spec?.ingress === true) return true;
  const annotations = spec?.annotations;
  return annotations?.name === LEGACY_INGRESS_NAME && Object.hasOwn(annotations.labels, LEGACY_INGRESS_LABEL);
}

/** The secrets and configs that a spec refers to exist under the names it gives them. */
export function checkReferences(tx: ReadTransaction, spec: ServiceSpec): void {
  const runtime = spec.task?.runtime;
  if (runtime?.case !== 'container') return;
  const { secrets, configs } = runtime.value;
  refuseMissing(
    'secret',
    secrets
      .filter(({ secretId, secretName }) => tx.get('secret', secretId)?.spec?.annotations?.name !== secretName)
      .map(({ secretName }) => secretName),
  );
  refuseMissing(
    'config',
    configs
      .filter(({ configId, configName }) => tx.get('config', configId)?.spec?.annotations?.name !== configName)
      .map(({ configName }) => configName),
  );
}

function refuseMissing(kind: string, names: readonly string[]): void {
  if (names.length > 0) throw invalidArgument(`${counted(kind, names.length)} not found: ${names.join(', ')}`);
}

/**
 * No other service has published the same port, by its spec or by what was allocated for it. Host ports
 * of several services may be the same: that is for the scheduler to keep apart.
 */
export function checkPorts(tx: ReadTransaction, spec: ServiceSpec, ownId: string | undefined): void {
  const ingress = publishedPorts(spec, PortConfig_PublishMode.INGRESS);
  const host = publishedPorts(spec, PortConfig_PublishMode.HOST);
  if (ingress.size === 0 && host.size === 0) return;
  for (const service of tx.find('service', by.all())) {
    if (service.id === ownId) continue;
    for (const port of [...(service.spec?.endpoint?.ports ?? []), ...(service.endpoint?.ports ?? [])]) {
      const taken = ingress.has(portKey(port));
      if (port.publishMode === PortConfig_PublishMode.HOST) {
        if (taken) throw portInUse(port, service, 'a host-published port');
      } else if (taken || host.has(portKey(port))) {
        throw portInUse(port, service, 'an ingress port');
      }
    }
  }
}

function publishedPorts(spec: ServiceSpec, mode: PortConfig_PublishMode): ReadonlySet<string> {
  const ports = spec.endpoint?.ports ?? [];
  return new Set(
    ports.filter((port) => port.publishedPort !== 0 && port.publishMode === mode).map((port) => portKey(port)),
  );
}

function portKey(port: PortConfig): string {
  return `${port.publishedPort}/${port.protocol}`;
}

function portInUse(port: PortConfig, service: Service, how: string): Error {
  const name = service.spec?.annotations?.name ?? '';
  return invalidArgument(
    `port '${port.publishedPort}' is already in use by service '${name}' (${service.id}) as ${how}`,
  );
}
