import { get, member, post, type Row } from './differential-rows.js';

const FILTER_WORDS = '28.x words its refusals of filters differently from 20.10 (E-110)';
const message = (text: string): { readonly message: string } => ({ message: text });
const length = (body: unknown): unknown => (Array.isArray(body) ? body.length : body);

const PENDING = {
  TaskTemplate: {
    ContainerSpec: { Image: 'differential.invalid/none:1', Labels: { inner: 'yes' } },
    Placement: { Constraints: ['node.labels.never==true'] },
  },
};

/** Tasks that wait for a node that never comes (E-231, E-232). */
export const TASKS: readonly Row[] = [
  get('/v1.41/tasks'),
  post(
    '/v1.41/services/create',
    { Name: 'one', Labels: { a: 'b' }, ...PENDING, Mode: { Replicated: { Replicas: 1 } } },
    { remember: { service: ['ID'] } },
  ),
  post('/v1.41/services/create', {
    Name: 'tty',
    ...PENDING,
    TaskTemplate: { ...PENDING.TaskTemplate, ContainerSpec: { Image: 'x', TTY: true } },
  }),
  get('/v1.41/tasks?filters={"service":["one"]}', {
    until: (body) => member(body, 0, 'Status', 'State') === 'pending' && member(body, 0, 'Status', 'Err') !== undefined,
    remember: { task: [0, 'ID'] },
  }),
  get('/v1.41/tasks/$task'),
  get('/v1.41/tasks/one.1', { pick: (body) => member(body, 'message') }),
  get('/v1.41/tasks/nope'),
  get('/v1.41/tasks?filters={"service":["$service"]}', { pick: length }),
  get('/v1.41/tasks?filters={"service":["one","tty"]}', { pick: length }),
  get('/v1.41/tasks?filters={"service":["nope"]}'),
  get('/v1.41/tasks?filters={"node":["nope"]}'),
  get('/v1.41/tasks?filters={"node":["$node"]}'),
  get('/v1.41/tasks?filters={"id":["$task"]}', { pick: length }),
  get('/v1.41/tasks?filters={"name":["one"]}', { pick: length }),
  get('/v1.41/tasks?filters={"name":["one.1"]}', { pick: length }),
  get('/v1.41/tasks?filters={"label":["a"]}', { pick: length }),
  get('/v1.41/tasks?filters={"label":["a=c"]}', { pick: length }),
  get('/v1.41/tasks?filters={"label":["inner"]}', { pick: length }),
  get('/v1.41/tasks?filters={"desired-state":["running"],"service":["one"]}', { pick: length }),
  get('/v1.41/tasks?filters={"desired-state":["RUNNING"],"service":["one"]}', { pick: length }),
  get('/v1.41/tasks?filters={"desired-state":["accepted"]}', { pick: length }),
  get('/v1.41/tasks?filters={"desired-state":["weird"]}'),
  get('/v1.41/tasks?filters={"desired-state":["0"]}'),
  get('/v1.41/tasks?filters={"runtime":["plugin"]}'),
  get('/v1.41/tasks?filters={"_up-to-date":["true"],"service":["one"]}', { pick: length }),
  get('/v1.41/tasks?filters={"_up-to-date":["false"],"service":["one"]}', { pick: length }),
  get('/v1.41/tasks?filters={"weird":["x"]}', {
    ours: { status: 400, body: message("invalid filter 'weird'"), why: FILTER_WORDS },
  }),
  ...['services/one', 'tasks/$task'].flatMap((path) => [
    get(`/v1.41/${path}/logs`),
    get(`/v1.41/${path}/logs?stdout=0&stderr=no`),
    get(`/v1.41/${path}/logs?stdout=1&tail=-1`),
    get(`/v1.41/${path}/logs?stdout=1&tail=x`),
    get(`/v1.41/${path}/logs?stdout=1&since=x`),
    get(`/v1.41/${path}/logs?stdout=1&since=-1`),
    get(`/v1.41/${path}/logs?stdout=1&stderr=1&tail=all`),
  ]),
  get('/v1.41/services/nope/logs?stdout=1'),
  get('/v1.41/tasks/nope/logs?stdout=1'),
  get('/v1.41/services/nope/logs'),
];

const withoutTimes = (event: Record<string, unknown>): unknown => ({ ...event, time: 0, timeNano: 0 });

const line = (body: unknown): unknown => {
  if (typeof body === 'object' && body !== null) return [withoutTimes(body as Record<string, unknown>)];
  if (typeof body !== 'string' || body === '') return [];
  const lines = body
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  return lines
    .map(withoutTimes)
    .filter(
      (one) => member(one, 'Type') !== 'node' || member(one, 'Actor', 'Attributes', 'availability.new') !== undefined,
    );
};

/** Events of the cluster (E-274, E-275); the time window ends at once. */
export const EVENTS: readonly Row[] = [
  get('/v1.41/events?since=0&until=1&filters={"weird":["x"]}'),
  get('/v1.41/events?since=x'),
  get('/v1.41/events?until=x'),
  get('/v1.41/events?since=2&until=1'),
  get('/v1.41/events?until=1', { headersCompared: ['content-type'] }),
  get('/v1.41/events?since=$started&until=$now&filters={"scope":["weird"]}'),
  post('/v1.41/secrets/create', { Name: 'sec', Data: 'c2VjcmV0', Labels: { x: 'y' } }),
  post('/v1.41/configs/create', { Name: 'cfg', Data: 'c2VjcmV0' }, { remember: { cfg: ['ID'] } }),
  get('/v1.41/configs/cfg', { remember: { version: ['Version', 'Index'] } }),
  post('/v1.41/configs/cfg/update?version=$version', { Name: 'cfg', Labels: { a: 'b' } }),
  post('/v1.41/services/create', { Name: 'svc', ...PENDING, Labels: { a: 'b' } }),
  get('/v1.41/services/svc', { remember: { version: ['Version', 'Index'] } }),
  post('/v1.41/services/svc/update?version=$version', {
    Name: 'svc',
    TaskTemplate: { ...PENDING.TaskTemplate, ContainerSpec: { Image: 'other' } },
    Mode: { Replicated: { Replicas: 2 } },
  }),
  get('/v1.41/nodes/$node', {
    remember: { version: ['Version', 'Index'] },
    settled: true,
    pick: (body) => member(body, 'Spec'),
  }),
  post('/v1.41/nodes/$node/update?version=$version', { Role: 'manager', Availability: 'pause', Labels: { q: 'r' } }),
  { method: 'DELETE', path: '/v1.41/secrets/sec' },
  { method: 'DELETE', path: '/v1.41/configs/cfg' },
  { method: 'DELETE', path: '/v1.41/services/svc' },
  ...['secret', 'config', 'service', 'node'].flatMap((type) => [
    get(`/v1.41/events?since=$started&until=$now&filters={"type":["${type}"],"scope":["swarm"]}`, {
      pick: line,
      until: (body) => JSON.stringify(body).includes('remove') || type === 'node',
    }),
  ]),
  get('/v1.41/events?since=$started&until=$now&filters={"config":["cfg"],"event":["remove"]}', { pick: line }),
  get('/v1.41/events?since=$started&until=$now&filters={"config":["cf"],"type":["config"]}', { pick: line }),
  get('/v1.41/events?since=$started&until=$now&filters={"config":["$cfg"]}', { pick: line }),
  get('/v1.41/events?since=$started&until=$now&filters={"service":["svc"],"event":["create","remove"]}', {
    pick: line,
  }),
  get('/v1.41/events?since=$started&until=$now&filters={"service":["svc"],"config":["cfg"],"event":["create"]}', {
    pick: line,
  }),
  get('/v1.41/events?since=$started&until=$now&filters={"type":["container"]}'),
  get('/v1.41/events?since=$started&until=$now&filters={"scope":["local"],"type":["secret"]}'),
  get('/v1.41/events?since=$started&until=$now&filters={"label":["x"],"type":["secret"]}'),
  get('/v1.41/events?since=$started&until=$now&filters={"label":["name=sec"],"event":["create"]}', { pick: line }),
];
