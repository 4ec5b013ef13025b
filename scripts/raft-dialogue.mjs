// Replays Raft dialogues (files of commands and the exact answers they must get) on the built core and
// prints the differences. Exit 0: every answer is the one expected; 1: some differ; 2: a file cannot be read.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = process.argv.slice(2);
if (files.length === 0) {
  process.stderr.write('usage: npm run -s raft:dialogue -- FILE…\n');
  process.exit(2);
}

build();
const { replayDialogue } = await import(`${root}dist/raft/dialogue/replay.js`);
const { describeDifference } = await import(`${root}dist/raft/dialogue/diff.js`);

let status = 0;
for (const file of files) status = Math.max(status, replay(file));
process.exit(status);

function replay(file) {
  try {
    const differences = replayDialogue(readFileSync(file, 'utf8'));
    if (differences.length === 0) return 0;
    process.stdout.write(`--- ${file}\n${differences.map(describeDifference).join('')}`);
    return 1;
  } catch (error) {
    process.stderr.write(`${file}: ${error.message}\n`);
    return 2;
  }
}

function build() {
  const tool = (name) => `${root}node_modules/.bin/${name}`;
  if (!existsSync(`${root}src/api/gen`)) run(tool('buf'), ['generate']);
  run(tool('tsc'), ['-p', 'tsconfig.build.json']);
}

function run(command, args) {
  const { status: code, signal } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (code !== 0) process.exit(code ?? (signal === null ? 2 : 130));
}
