import { Option, program } from 'commander';

import { errorText } from '../base/index.js';
import { PRODUCT_VERSION } from './product.js';
import { runDaemon, type DaemonFlags } from './swarmd/daemon.js';

const DEFAULT_STATE_DIR = '/var/lib/swarmd';

program
  .name('swarmd')
  .description('Runs one node of a swarm: an agent, and a manager when it has that role.')
  .version(PRODUCT_VERSION, '-v, --version')
  .addOption(
    new Option('-l, --log-level <level>', 'least level that is logged')
      .choices(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info'),
  )
  .option('-d, --state-dir <directory>', 'directory of all state', DEFAULT_STATE_DIR)
  .option('--hostname <name>', 'hostname to show in the cluster instead of the host’s own')
  .option('--join-addr <host:port>', 'join the cluster of this manager')
  .option('--join-token <token>', 'token that admits this node to the cluster')
  .option('--listen-remote-api <host:port>', 'address for other nodes', '0.0.0.0:4242')
  .option('--advertise-remote-api <host:port>', 'address that other nodes dial; default: this host’s own')
  .option('--listen-control-api <path>', 'control socket; default: /var/run/swarmd.sock, or in another state directory')
  .option('--engine-api <url>', 'serve the Docker Engine API on unix:///path or tcp://host:port')
  .option('--default-advertise-addr <address>', 'with --engine-api: address advertised by init and join that name none')
  .addOption(new Option('--executor <kind>', 'what runs tasks').choices(['process', 'docker']).default('process'))
  .option('--engine-addr <url>', 'Docker Engine of the docker executor', 'unix:///var/run/docker.sock')
  .option('--generic-node-resources <list>', 'resources of this node, such as gpu=a,gpu=b,fpga=2')
  .option('--label <key=value>', 'engine label of this node; may be repeated', collect, [])
  .option('--autolock', 'lock a new cluster’s managers: the unlock key is then needed at every start')
  .option('--unlock-key <key>', 'key that unlocks this manager (SWMKEY-1-…)')
  .helpOption('-h, --help');

function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

program.parse();

try {
  process.exitCode = await runDaemon(program.opts<DaemonFlags>());
} catch (error) {
  process.stderr.write(`swarmd: ${errorText(error)}\n`);
  process.exitCode = 1;
}
