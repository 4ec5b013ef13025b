import { Control, bindService, type BoundService } from '../../api/index.js';
import { clusterHandlers } from './cluster.js';
import { configHandlers } from './config.js';
import type { ControlContext, ControlDeps, ControlOptions } from './deps.js';
import { invalidArgument } from './errors.js';
import { extensionHandlers } from './extension.js';
import { networkHandlers } from './network.js';
import { nodeHandlers } from './node.js';
import { resourceHandlers } from './resource.js';
import { secretHandlers } from './secret.js';
import { serviceHandlers } from './service.js';
import { taskHandlers } from './task.js';
import { volumeHandlers } from './volume.js';

/** Well below the 20 ms that the event loop may be held for. */
const DEFAULT_SLICE_MS = 5;

/**
 * The Control service: what users and tools call to read and change the desired state. Every change is
 * checked and written in one transaction. Replies share the store's frozen objects, except where something
 * must be hidden. Methods left out (changing networks and volumes) answer Unimplemented.
 */
export function controlService(options: ControlOptions, deps: ControlDeps): BoundService {
  const sliceMs = options.sliceMs ?? DEFAULT_SLICE_MS;
  if (!(sliceMs >= 0)) throw invalidArgument('sliceMs must be a number from 0');
  const control: ControlContext = { ...deps, sliceMs };
  return bindService(Control, {
    ...nodeHandlers(control),
    ...taskHandlers(control),
    ...serviceHandlers(control),
    ...networkHandlers(control),
    ...clusterHandlers(control),
    ...secretHandlers(control),
    ...configHandlers(control),
    ...extensionHandlers(control),
    ...resourceHandlers(control),
    ...volumeHandlers(control),
  });
}
