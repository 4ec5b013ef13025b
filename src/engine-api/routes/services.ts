import { create } from '@bufbuild/protobuf';

import {
  ContainerSpec_PullOptionsSchema,
  UpdateServiceRequest_Rollback,
  type ContainerSpec,
  type ContainerSpec_PullOptions,
  type Service,
  type ServiceSpec,
} from '../../api/index.js';
import { errorText } from '../../base/index.js';
import { serviceSpecFromJson, serviceToJson } from '../convert/index.js';
import {
  ApiError,
  Filters,
  jsonListResponse,
  jsonResponse,
  readJsonBody,
  strictBoolean,
  versionParameter,
  type HttpRequest,
  type HttpResponse,
  type Route,
} from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';
import { resolveNetworks } from './networks.js';
import { randomName } from './random-name.js';
import { resolveService } from './resolve.js';

const FILTERS = ['id', 'name', 'label', 'mode', 'runtime'];

const MODE_WORDS: Readonly<Record<string, string>> = {
  replicated: 'replicated',
  global: 'global',
  replicatedJob: 'replicated-job',
  globalJob: 'global-job',
};

/** Routes under `/services`, logs apart (engine-api E-221 to E-225). */
export function serviceRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/services', handler: (request) => listServices(context, request) },
    { method: 'GET', path: '/services/:id', handler: (request) => inspectService(context, request) },
    { method: 'POST', path: '/services/create', handler: (request) => createService(context, request) },
    { method: 'POST', path: '/services/:id/update', handler: (request) => updateService(context, request) },
    { method: 'DELETE', path: '/services/:id', handler: (request) => removeService(context, request) },
  ];
}

async function listServices(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const filters = Filters.parse(request.query, FILTERS);
  const withStatus = !request.version.lessThan('1.41') && flagOf(request, 'status');
  const { control, options } = managerCall(context, request);
  const { services } = await control.listServices(
    {
      filters: {
        idPrefixes: [...filters.get('id')],
        namePrefixes: [...filters.get('name')],
        labels: filters.labels('label'),
        runtimes: filters.has('runtime') ? [...filters.get('runtime')] : ['container'],
      },
    },
    options,
  );
  const modes = filters.get('mode');
  const chosen = services.filter(
    ({ spec }) => modes.length === 0 || modes.includes(MODE_WORDS[spec?.mode.case ?? ''] ?? ''),
  );
  if (!withStatus) return jsonListResponse(chosen, serviceToJson, context.yieldLoop);
  const { statuses } = await control.listServiceStatuses({ services: chosen.map(({ id }) => id) }, options);
  const byId = new Map(statuses.map((status) => [status.serviceId, status]));
  return jsonListResponse(
    chosen,
    (service) => {
      const status = byId.get(service.id);
      return {
        ...serviceToJson(service),
        ServiceStatus: {
          RunningTasks: status?.runningTasks ?? 0n,
          DesiredTasks: status?.desiredTasks ?? 0n,
          CompletedTasks: status?.completedTasks ?? 0n,
        },
      };
    },
    context.yieldLoop,
  );
}

async function inspectService(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const insertDefaults = flagOf(request, 'insertDefaults');
  const { control, options } = managerCall(context, request);
  return jsonResponse(
    200,
    serviceToJson(await resolveService(control, request.params['id'] ?? '', insertDefaults, options)),
  );
}

/** A flag of this route as Go's ParseBool reads it; the refusal names the flag. */
function flagOf(request: HttpRequest, name: 'insertDefaults' | 'status'): boolean {
  try {
    return strictBoolean(request.query, name);
  } catch (error) {
    const given = request.query.get(name) ?? '';
    throw new ApiError('invalid-parameter', `invalid value for ${name}: ${given}: ${errorText(error)}`, error);
  }
}

async function createService(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  const call = managerCall(context, request);
  const given = serviceSpecFromJson(body, request.version, () => randomName(context.random));
  const spec = withPullOptions(await resolveNetworks(given, call.control, call.options), registryAuth(request));
  const { service } = await call.control.createService({ spec }, call.options);
  return jsonResponse(201, { ID: service?.id ?? '' });
}

async function updateService(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  const index = versionParameter(request.query, (text) => `invalid service version '${text}'`);
  const { control, options } = managerCall(context, request);
  const current = await resolveService(control, request.params['id'] ?? '', false, options);
  const given = serviceSpecFromJson(body, request.version, () => randomName(context.random));
  const pullOptions = registryAuth(request) ?? keptPullOptions(current, request.query.get('registryAuthFrom') ?? '');
  await control.updateService(
    {
      serviceId: current.id,
      serviceVersion: { index },
      spec: withPullOptions(await resolveNetworks(given, control, options), pullOptions),
      rollback: rollbackOption(request.query.get('rollback') ?? ''),
    },
    options,
  );
  return jsonResponse(200, { Warnings: null });
}

function rollbackOption(given: string): UpdateServiceRequest_Rollback {
  switch (given) {
    case '':
    case 'none':
      return UpdateServiceRequest_Rollback.NONE;
    case 'previous':
      return UpdateServiceRequest_Rollback.PREVIOUS;
    default:
      throw new ApiError('system', `unrecognized rollback option ${given}`);
  }
}

/** Credentials sent with the request go to the nodes with the service. */
function registryAuth(request: HttpRequest): ContainerSpec_PullOptions | undefined {
  const encoded = request.headers.get('x-registry-auth') ?? '';
  return encoded === '' ? undefined : create(ContainerSpec_PullOptionsSchema, { registryAuth: encoded });
}

/** Without new credentials those of the present or the previous spec stay (engine-api E-224). */
function keptPullOptions(current: Service, from: string): ContainerSpec_PullOptions | undefined {
  switch (from) {
    case '':
    case 'spec':
      return containerOf(current.spec).pullOptions;
    case 'previous-spec':
      if (current.previousSpec === undefined) throw new ApiError('system', 'service does not have a previous spec');
      return containerOf(current.previousSpec).pullOptions;
    default:
      throw new ApiError('system', 'unsupported registryAuthFrom value');
  }
}

function containerOf(spec: ServiceSpec | undefined): ContainerSpec {
  if (spec?.task?.runtime.case !== 'container') throw new ApiError('system', 'service does not use container tasks');
  return spec.task.runtime.value;
}

function withPullOptions(spec: ServiceSpec, pullOptions: ContainerSpec_PullOptions | undefined): ServiceSpec {
  if (pullOptions === undefined || spec.task?.runtime.case !== 'container') return spec;
  const container = { ...spec.task.runtime.value, pullOptions };
  return { ...spec, task: { ...spec.task, runtime: { case: 'container', value: container } } };
}

async function removeService(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const { control, options } = managerCall(context, request);
  const service = await resolveService(control, request.params['id'] ?? '', false, options);
  await control.removeService({ serviceId: service.id }, options);
  return { status: 200 };
}
