import { TaskState } from '../../api/index.js';
import { taskToJson } from '../convert/index.js';
import {
  ApiError,
  Filters,
  jsonListResponse,
  jsonResponse,
  type HttpRequest,
  type HttpResponse,
  type Route,
} from '../http/index.js';
import { managerCall, type RouteContext } from './context.js';
import { resolveNode, resolveService, resolveTask } from './resolve.js';

const FILTERS = ['id', 'name', 'label', 'service', 'node', 'desired-state', 'runtime', '_up-to-date'];

/** Routes under `/tasks`, logs apart (engine-api E-231, E-232). */
export function taskRoutes(context: RouteContext): readonly Route[] {
  return [
    { method: 'GET', path: '/tasks', handler: (request) => listTasks(context, request) },
    { method: 'GET', path: '/tasks/:id', handler: (request) => inspectTask(context, request) },
  ];
}

async function listTasks(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const filters = Filters.parse(request.query, FILTERS);
  const { control, options } = managerCall(context, request);
  const serviceIds = await Promise.all(
    filters.get('service').map(async (given) => (await resolveService(control, given, false, options)).id),
  );
  const nodeIds = await Promise.all(
    filters.get('node').map(async (given) => (await resolveNode(control, given, options)).id),
  );
  const { tasks } = await control.listTasks(
    {
      filters: {
        idPrefixes: [...filters.get('id')],
        namePrefixes: [...filters.get('name')],
        labels: filters.labels('label'),
        serviceIds,
        nodeIds,
        desiredStates: filters.get('desired-state').flatMap(stateFilter),
        upToDate: filters.has('_up-to-date'),
        // Tasks of plugins and attachments are hidden unless asked for.
        runtimes: filters.has('runtime') ? [...filters.get('runtime')] : ['container', ''],
      },
    },
    options,
  );
  return jsonListResponse(tasks, taskToJson, context.yieldLoop);
}

function stateFilter(given: string): readonly TaskState[] {
  if (given === '') return [];
  const state = TaskState[given.toUpperCase() as keyof typeof TaskState];
  // The enum also maps numbers to names, which are no states.
  if (typeof state === 'number') return [state];
  throw new ApiError('system', `Invalid desired-state filter: '${given}'`);
}

async function inspectTask(context: RouteContext, request: HttpRequest): Promise<HttpResponse> {
  const { control, options } = managerCall(context, request);
  return jsonResponse(200, taskToJson(await resolveTask(control, request.params['id'] ?? '', options)));
}
