import type {
  CallOptions,
  Control,
  Network,
  NetworkAttachmentConfig,
  RpcClient,
  ServiceSpec,
} from '../../api/index.js';
import { networkResourceToJson } from '../convert/index.js';
import { ApiError, jsonResponse, type HttpRequest, type HttpResponse, type Route } from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';

type ControlClient = RpcClient<typeof Control>;

/** Reading routes under `/networks`: what the cluster has (engine-api E-251 to E-253). */
export function networkRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/networks', handler: (request) => listNetworks(context, request) },
    { method: 'GET', path: '/networks/:id', handler: (request) => inspectNetwork(context, request) },
  ];
}

async function listNetworks(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  // A node that is no manager just has no cluster part.
  if (!context.node.status().isManager) return jsonResponse(200, []);
  const { control, options } = managerCall(context, request);
  const { networks } = await control.listNetworks({}, options);
  return jsonResponse(200, networks.filter(isVisible).map(networkResourceToJson));
}

function isVisible(network: Network): boolean {
  return network.spec?.annotations?.labels['com.docker.swarm.predefined'] !== 'true';
}

async function inspectNetwork(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const given = request.params['id'] ?? '';
  const network = context.node.status().isManager ? await findClusterNetwork(context, request, given) : undefined;
  if (network === undefined) throw new ApiError('not-found', `network ${given} not found`);
  return jsonResponse(200, networkResourceToJson(network));
}

function findClusterNetwork(context: RouteContext, request: HttpRequest, given: string): Promise<Network | undefined> {
  const { control, options } = managerCall(context, request);
  return findNetwork(control, given, options);
}

/** A network by id, by name, or by a prefix that only one has. */
async function findNetwork(control: ControlClient, given: string, options: CallOptions): Promise<Network | undefined> {
  const { networks } = await control.listNetworks({}, options);
  const exact =
    networks.find(({ id }) => id === given) ?? networks.find(({ spec }) => spec?.annotations?.name === given);
  if (exact !== undefined) return exact;
  const prefixed = networks.filter(({ id }) => id.startsWith(given));
  if (prefixed.length > 1) {
    throw new ApiError(
      'invalid-parameter',
      `${prefixed.length} matches found based on ID prefix: network ${given} is ambiguous`,
    );
  }
  return prefixed[0];
}

/** Replaces the names of networks in a spec by their ids (engine-api E-256). */
export async function resolveNetworks(
  spec: ServiceSpec,
  control: ControlClient,
  options: CallOptions,
): Promise<ServiceSpec> {
  if (spec.task === undefined || (spec.task.networks.length === 0 && spec.networks.length === 0)) return spec;
  const resolveAll = (attachments: readonly NetworkAttachmentConfig[]): Promise<NetworkAttachmentConfig[]> =>
    Promise.all(
      attachments.map(async (attachment) => {
        const network = await findNetwork(control, attachment.target, options);
        if (network === undefined) throw new ApiError('system', `network ${attachment.target} not found`);
        return { ...attachment, target: network.id };
      }),
    );
  const [networks, deprecated] = await Promise.all([resolveAll(spec.task.networks), resolveAll(spec.networks)]);
  return { ...spec, task: { ...spec.task, networks }, networks: deprecated };
}
