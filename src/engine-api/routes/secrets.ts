import { configSpecFromJson, configToJson, secretSpecFromJson, secretToJson } from '../convert/index.js';
import {
  ApiError,
  Filters,
  jsonListResponse,
  jsonResponse,
  readJsonBody,
  versionParameter,
  type HttpRequest,
  type Route,
} from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';
import { resolveConfig, resolveSecret } from './resolve.js';

/** Routes under `/secrets` (engine-api E-241 to E-245). */
export function secretRoutes(context: RouteContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/secrets',
      handler: async (request) => {
        const filters = Filters.parse(request.query, ['id', 'name', 'names', 'label']);
        const { control, options } = managerCall(context, request);
        const { secrets } = await control.listSecrets(
          { filters: { ...commonFilters(filters), names: [...filters.get('names')] } },
          options,
        );
        return jsonListResponse(secrets, secretToJson, context.yieldLoop);
      },
    },
    {
      method: 'POST',
      path: '/secrets/create',
      handler: async (request) => {
        const body = await readJsonBody(request);
        const { control, options } = managerCall(context, request);
        const { secret } = await control.createSecret({ spec: secretSpecFromJson(body, request.version) }, options);
        return jsonResponse(201, { ID: secret?.id ?? '' });
      },
    },
    {
      method: 'GET',
      path: '/secrets/:id',
      handler: async (request) => {
        const { control, options } = managerCall(context, request);
        return jsonResponse(200, secretToJson(await resolveSecret(control, idOf(request), options)));
      },
    },
    {
      method: 'POST',
      path: '/secrets/:id/update',
      handler: async (request) => {
        const body = await readJsonBody(request);
        const index = versionOf(request, 'invalid secret version');
        const { control, options } = managerCall(context, request);
        const spec = secretSpecFromJson(body, request.version);
        const { id: secretId } = await resolveSecret(control, idOf(request), options);
        await control.updateSecret({ secretId, secretVersion: { index }, spec }, options);
        return { status: 200 };
      },
    },
    {
      method: 'DELETE',
      path: '/secrets/:id',
      handler: async (request) => {
        const { control, options } = managerCall(context, request);
        const { id: secretId } = await resolveSecret(control, idOf(request), options);
        await control.removeSecret({ secretId }, options);
        return { status: 204 };
      },
    },
  ];
}

/** Routes under `/configs` (engine-api E-241 to E-245). */
export function configRoutes(context: RouteContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/configs',
      handler: async (request) => {
        const filters = Filters.parse(request.query, ['id', 'name', 'label']);
        const { control, options } = managerCall(context, request);
        const { configs } = await control.listConfigs({ filters: commonFilters(filters) }, options);
        return jsonListResponse(configs, configToJson, context.yieldLoop);
      },
    },
    {
      method: 'POST',
      path: '/configs/create',
      handler: async (request) => {
        const body = await readJsonBody(request);
        const { control, options } = managerCall(context, request);
        const { config } = await control.createConfig({ spec: configSpecFromJson(body, request.version) }, options);
        return jsonResponse(201, { ID: config?.id ?? '' });
      },
    },
    {
      method: 'GET',
      path: '/configs/:id',
      handler: async (request) => {
        const { control, options } = managerCall(context, request);
        return jsonResponse(200, configToJson(await resolveConfig(control, idOf(request), options)));
      },
    },
    {
      method: 'POST',
      path: '/configs/:id/update',
      handler: async (request) => {
        const body = await readJsonBody(request);
        const index = versionOf(request, 'invalid config version');
        const { control, options } = managerCall(context, request);
        const spec = configSpecFromJson(body, request.version);
        const { id: configId } = await resolveConfig(control, idOf(request), options);
        await control.updateConfig({ configId, configVersion: { index }, spec }, options);
        return { status: 200 };
      },
    },
    {
      method: 'DELETE',
      path: '/configs/:id',
      handler: async (request) => {
        const { control, options } = managerCall(context, request);
        const { id: configId } = await resolveConfig(control, idOf(request), options);
        await control.removeConfig({ configId }, options);
        return { status: 204 };
      },
    },
  ];
}

function commonFilters(filters: Filters): {
  idPrefixes: string[];
  namePrefixes: string[];
  labels: Record<string, string>;
} {
  return {
    idPrefixes: [...filters.get('id')],
    namePrefixes: [...filters.get('name')],
    labels: filters.labels('label'),
  };
}

function idOf(request: HttpRequest): string {
  return request.params['id'] ?? '';
}

/** Secrets and configs refuse a bad version in few words (engine-api E-112). */
function versionOf(request: HttpRequest, refusal: string): bigint {
  try {
    return versionParameter(request.query, () => refusal);
  } catch (error) {
    throw new ApiError('invalid-parameter', refusal, error);
  }
}
