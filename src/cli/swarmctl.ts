import { canceled, SILENT_LOGGER } from '../base/index.js';
import { SystemClock } from '../platform/clock.js';
import { createRpcNetwork } from '../platform/rpc/index.js';
import { PRODUCT_VERSION } from './product.js';
import { runSwarmctl } from './swarmctl/commands.js';
import { ProcessTerminal, socketProblem } from './swarmctl/process-terminal.js';
import { EXIT } from './swarmctl/program.js';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second time the user means it.
    if (interrupted.signal.aborted) process.exit(EXIT.interrupted);
    interrupted.abort(canceled('swarmctl'));
  });
}

const clock = new SystemClock();
const network = createRpcNetwork({ clock, log: SILENT_LOGGER });

process.exitCode = await runSwarmctl(process.argv.slice(2), {
  version: PRODUCT_VERSION,
  environment: process.env,
  terminal: new ProcessTerminal(),
  clock,
  signal: interrupted.signal,
  dial: (path) => network.dialSocket(path),
  socketProblem,
});
