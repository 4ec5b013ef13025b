// Builds the benchmarks and runs those named (all without a name) with the Node.js of this package.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(command, args) {
  const { status, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? (signal === null ? 1 : 130));
}

const tool = (name) => `${root}node_modules/.bin/${name}`;
run(tool('buf'), ['generate']);
run(tool('tsc'), ['-p', 'tsconfig.build.json']);
run(tool('tsc'), ['-p', 'tsconfig.bench.json']);
run(existsSync(tool('node')) ? tool('node') : process.execPath, [
  `${root}dist-bench/bench/main.js`,
  ...process.argv.slice(2),
]);
