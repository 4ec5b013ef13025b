import { expect, test } from 'vitest';

import { createClient, Health, HealthCheckResponse_ServingStatus, LocalChannel } from '../../api/index.js';
import { Code } from '../../base/index.js';
import { HealthServer } from './health-server.js';

const options = { signal: new AbortController().signal };

test('the process serves from the start, other services once they are set, unknown ones are not found', async () => {
  const server = new HealthServer();
  const client = createClient(Health, new LocalChannel([server.service()], () => undefined));
  expect((await client.check({ service: '' }, options)).status).toBe(HealthCheckResponse_ServingStatus.SERVING);
  await expect(client.check({ service: 'Raft' }, options)).rejects.toMatchObject({ code: Code.NOT_FOUND });
  server.set('Raft', 'serving');
  expect((await client.check({ service: 'Raft' }, options)).status).toBe(HealthCheckResponse_ServingStatus.SERVING);
  server.set('Raft', 'not-serving');
  expect((await client.check({ service: 'Raft' }, options)).status).toBe(HealthCheckResponse_ServingStatus.NOT_SERVING);
});
