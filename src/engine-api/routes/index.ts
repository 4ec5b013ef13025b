import type { Route } from '../http/index.js';
import type { RouteContext } from './context.js';
import type { EventLog } from './event-log.js';
import { eventRoutes } from './events.js';
import { logRoutes } from './logs.js';
import { networkRoutes } from './networks.js';
import { nodeRoutes } from './nodes.js';
import { configRoutes, secretRoutes } from './secrets.js';
import { serviceRoutes } from './services.js';
import { swarmRoutes } from './swarm.js';
import { systemRoutes } from './system.js';
import { taskRoutes } from './tasks.js';

export type { RouteContext } from './context.js';
export { EventLog } from './event-log.js';
export type { SystemInfo } from './system-info.js';

/** Every route of the Engine API that swarm mode needs. */
export function engineRoutes(context: RouteContext, events: EventLog): readonly Route[] {
  return [
    ...systemRoutes(context),
    ...swarmRoutes(context),
    ...nodeRoutes(context),
    ...serviceRoutes(context),
    ...taskRoutes(context),
    ...logRoutes(context),
    ...secretRoutes(context),
    ...configRoutes(context),
    ...networkRoutes(context),
    ...eventRoutes(context, events),
  ];
}
