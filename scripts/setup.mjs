// Makes a fresh clone ready: dependencies, generated code, build. Does nothing that is already done.
// Runs on any Node from 20 on, before anything is installed: no imports from outside Node.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampDir = `${root}node_modules/.cache/swarmkit-ts`;

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  fail(`Node.js ${process.version} is too old: install Node.js 20 or later (https://nodejs.org) and run this again.`);
}

installDependencies();
build();

/** `npm ci`, unless node_modules is what the lock file says. */
function installDependencies() {
  const lock = hashOf(['package-lock.json']);
  if (existsSync(`${root}node_modules/.bin`) && readStamp('dependencies') === lock) return;
  say('installing dependencies (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeStamp('dependencies', lock);
}

/** Generates code and compiles, unless nothing has changed since the last time. */
function build() {
  const sources = hashOf([
    'package-lock.json',
    'buf.gen.yaml',
    'tsconfig.json',
    'tsconfig.build.json',
    ...filesBelow('proto'),
    ...filesBelow('src').filter((file) => !file.startsWith('src/api/gen/') && !file.endsWith('.test.ts')),
  ]);
  if (existsSync(`${root}dist`) && existsSync(`${root}src/api/gen`) && readStamp('build') === sources) return;
  say('building (npm run build)');
  run('npm', ['run', '--silent', 'build']);
  writeStamp('build', sources);
}

function filesBelow(directory) {
  return readdirSync(`${root}${directory}`, { recursive: true, encoding: 'utf8' })
    .map((name) => `${directory}/${name}`)
    .filter((file) => statSync(`${root}${file}`).isFile())
    .sort();
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(`${root}${file}`))
      .update('\0');
  return hash.digest('hex');
}

function readStamp(name) {
  return existsSync(`${stampDir}/${name}`) ? readFileSync(`${stampDir}/${name}`, 'utf8') : '';
}

function writeStamp(name, value) {
  mkdirSync(stampDir, { recursive: true });
  writeFileSync(`${stampDir}/${name}`, value);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) fail(`${command} could not be started: ${error.message}`);
  if (status !== 0) fail(`${command} ${args.join(' ')} failed (see above)${hint()}`);
}

function hint() {
  try {
    writeFileSync(`${root}.write-test`, '');
    spawnSync('rm', ['-f', `${root}.write-test`]);
    return '.';
  } catch {
    return `: ${root} is not writable for this user. Clone it where you may write.`;
  }
}

function say(text) {
  process.stdout.write(`swarmkit-ts: ${text}\n`);
}

function fail(text) {
  process.stderr.write(`swarmkit-ts: ${text}\n`);
  process.exit(1);
}
