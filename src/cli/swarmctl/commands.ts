import { addClusterCommands } from './nouns/cluster.js';
import { addNetworkCommands } from './nouns/network.js';
import { addNodeCommands } from './nouns/node.js';
import { addPayloadCommands } from './nouns/payload.js';
import { addServiceCommands } from './nouns/service.js';
import { addTaskCommands } from './nouns/task.js';
import { Program, type World } from './program.js';
import { renderJson } from './render/json.js';

/** Runs swarmctl with these arguments; gives its exit code. */
export async function runSwarmctl(args: readonly string[], world: World): Promise<number> {
  const program = new Program(world);
  addNodeCommands(program);
  addServiceCommands(program);
  addTaskCommands(program);
  addNetworkCommands(program);
  addClusterCommands(program);
  addPayloadCommands(program);
  program.command({ usage: 'version', description: 'Print the version' }, (session) =>
    session.print(session.flags.json ? renderJson({ version: world.version }) : `swarmctl ${world.version}`),
  );
  return program.run(args);
}
