/**
 * Loaded into a swarmd that is measured (`--import`): answers over its channel how long the event loop was held
 * since it was last asked. Nothing of this is in the product.
 */
import { EventLoopDelay } from '../src/platform/metrics.js';

const delay = new EventLoopDelay();
process.on('message', () => process.send?.(delay.read()));
process.channel?.unref();
