import { type NodeRole, NodeSpec_Membership } from '../../api/index.js';
import { nodeSpecFromJson, nodeToJson, roleFromWord } from '../convert/index.js';
import {
  ApiError,
  Filters,
  jsonListResponse,
  jsonResponse,
  looseBoolean,
  readJsonBody,
  versionParameter,
  type HttpRequest,
  type HttpResponse,
  type Route,
} from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';
import { resolveNode } from './resolve.js';

const FILTERS = ['id', 'name', 'label', 'node.label', 'role', 'membership'];

/** Routes under `/nodes` (engine-api E-211 to E-214). */
export function nodeRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/nodes', handler: (request) => listNodes(context, request) },
    { method: 'GET', path: '/nodes/:id', handler: (request) => inspectNode(context, request) },
    { method: 'POST', path: '/nodes/:id/update', handler: (request) => updateNode(context, request) },
    { method: 'DELETE', path: '/nodes/:id', handler: (request) => removeNode(context, request) },
  ];
}

async function listNodes(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const filters = Filters.parse(request.query, FILTERS);
  const { control, options } = managerCall(context, request);
  const { nodes } = await control.listNodes(
    {
      filters: {
        idPrefixes: [...filters.get('id')],
        namePrefixes: [...filters.get('name')],
        labels: filters.labels('label'),
        nodeLabels: filters.labels('node.label'),
        roles: filters.get('role').flatMap(roleFilter),
        memberships: filters.get('membership').flatMap(membershipFilter),
      },
    },
    options,
  );
  return jsonListResponse(nodes, nodeToJson, context.yieldLoop);
}

function roleFilter(given: string): readonly NodeRole[] {
  if (given === '') return [];
  const role = roleFromWord(given);
  if (role === undefined) throw new ApiError('system', `Invalid role filter: '${given}'`);
  return [role];
}

function membershipFilter(given: string): readonly NodeSpec_Membership[] {
  switch (given.toLowerCase()) {
    case '':
      return [];
    case 'accepted':
      return [NodeSpec_Membership.ACCEPTED];
    case 'pending':
      return [NodeSpec_Membership.PENDING];
    default:
      throw new ApiError('system', `Invalid membership filter: '${given}'`);
  }
}

async function inspectNode(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const { control, options } = managerCall(context, request);
  return jsonResponse(200, nodeToJson(await resolveNode(control, request.params['id'] ?? '', options)));
}

async function updateNode(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const body = await readJsonBody(request);
  const index = versionParameter(request.query, (text) => `invalid node version '${text}'`);
  const { control, options } = managerCall(context, request);
  const spec = nodeSpecFromJson(body);
  const node = await resolveNode(control, request.params['id'] ?? '', options);
  await control.updateNode(
    {
      nodeId: node.id,
      nodeVersion: { index },
      spec: { ...spec, membership: node.spec?.membership ?? spec.membership },
    },
    options,
  );
  return { status: 200 };
}

async function removeNode(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const { control, options } = managerCall(context, request);
  const node = await resolveNode(control, request.params['id'] ?? '', options);
  await control.removeNode({ nodeId: node.id, force: looseBoolean(request.query, 'force') }, options);
  return { status: 200 };
}
