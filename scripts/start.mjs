// The main job: a small real swarm on this machine, with no Docker in it. One manager and two workers run
// tasks as processes, a service of three replicas is deployed, and everything is cleaned up at the end.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const REPLICAS = 3;
const START_TIMEOUT_MS = 30_000;
const CONVERGE_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 20_000;

const options = readOptions();
const children = [];
let stopping = false;
let socket = '';
let directory = '';

process.on('SIGINT', () => void stop(0));
process.on('SIGTERM', () => void stop(0));

try {
  checkNode();
  await checkPort(options.port);
  directory = makeDirectory();
  socket = `${directory}/manager/docker.sock`;
  await main();
} catch (error) {
  process.stderr.write(`\nswarmkit-ts: ${error.message}\n`);
  await stop(1);
}

async function main() {
  say(`state in ${directory}`);
  const manager = startNode('manager', ['--engine-api', `unix://${socket}`]);
  await until('the manager answers', START_TIMEOUT_MS, manager, () => call('GET', '/_ping').then(() => true));
  const address = `127.0.0.1:${options.port}`;
  await call('POST', '/swarm/init', { ListenAddr: address, AdvertiseAddr: address });
  say(`swarm initialized, manager on ${address}`);

  const { JoinTokens } = await call('GET', '/swarm');
  const workers = ['worker-1', 'worker-2'].map((name, index) =>
    startNode(name, [
      '--join-addr',
      address,
      '--join-token',
      JoinTokens.Worker,
      '--listen-remote-api',
      `127.0.0.1:${options.port + 1 + index}`,
    ]),
  );
  await until('both workers have joined', START_TIMEOUT_MS, workers[0], async () => {
    const nodes = await call('GET', '/nodes');
    return nodes.filter((node) => node.Status.State === 'ready').length === 3;
  });
  say('two workers joined');

  const { ID } = await call('POST', '/services/create', exampleService());
  await converge(ID);
  await show(ID);
  if (options.once) {
    await checkReplicas(ID);
    await stop(0);
  }
}

/** Three web servers; each gets a port of its own and learns it from PORT. */
function exampleService() {
  return {
    Name: 'hello',
    TaskTemplate: {
      ContainerSpec: {
        Image: 'hello-web:example',
        Command: [process.execPath, `${root}examples/hello-web/server.mjs`],
        Env: ['SERVICE={{.Service.Name}}', 'TASK={{.Task.Name}}', 'NODE={{.Node.Hostname}}'],
      },
    },
    Mode: { Replicated: { Replicas: REPLICAS } },
    EndpointSpec: { Ports: [{ Protocol: 'tcp', TargetPort: 8080, PublishedPort: 0, PublishMode: 'host' }] },
  };
}

async function converge(id) {
  let shown = -1;
  await until(`all ${REPLICAS} replicas run`, CONVERGE_TIMEOUT_MS, children[0], async () => {
    const tasks = await tasksOf(id);
    const running = tasks.filter((task) => task.Status.State === 'running').length;
    if (running !== shown) say(`service hello: ${bar(running, REPLICAS)} ${running} of ${REPLICAS} running`);
    shown = running;
    const problem = tasks.map((task) => task.Status.Err).find((text) => text !== undefined);
    if (problem !== undefined) say(`  ${problem}`);
    return running === REPLICAS;
  });
}

function bar(done, all) {
  return `[${'='.repeat(done * 4)}${' '.repeat((all - done) * 4)}]`;
}

async function show(id) {
  const nodes = await call('GET', '/nodes');
  const hostnames = new Map(nodes.map((node) => [node.ID, node.Description.Hostname]));
  print('\nNODES');
  table(
    ['ID', 'HOSTNAME', 'STATUS', 'AVAILABILITY', 'ROLE'],
    nodes.map((node) => [
      node.ID,
      node.Description.Hostname,
      node.Status.State,
      node.Spec.Availability,
      node.Spec.Role,
    ]),
  );
  print('\nTASKS OF hello');
  table(
    ['NAME', 'NODE', 'STATE', 'ADDRESS'],
    (await tasksOf(id)).map((task) => [
      `hello.${task.Slot}`,
      hostnames.get(task.NodeID) ?? '',
      task.Status.State,
      `http://127.0.0.1:${portOf(task)}`,
    ]),
  );
  print(`
TRY NEXT, in another terminal
  docker -H unix://${socket} service ps hello
  ${root}bin/swarmctl -s ${directory}/manager/swarmd.sock service ls
  docker -H unix://${socket} service scale hello=6
${options.once ? '' : '\nCtrl-C stops everything and leaves nothing behind.'}`);
}

/** Every replica must answer over HTTP, and each must be another one. */
async function checkReplicas(id) {
  const seen = new Set();
  for (const task of await tasksOf(id)) {
    const answer = await answerOf(`http://127.0.0.1:${portOf(task)}/`);
    const body = await answer.json();
    if (answer.status !== 200 || body.hello !== 'world')
      throw new Error(`replica hello.${task.Slot} answered ${answer.status}`);
    seen.add(body.task);
  }
  if (seen.size !== REPLICAS)
    throw new Error(`${REPLICAS} replicas were asked, but only ${seen.size} different ones answered`);
  say(`all ${REPLICAS} replicas answered over HTTP`);
}

/** A process that runs may need a moment more until it listens. */
async function answerOf(url) {
  const endMs = Date.now() + ANSWER_TIMEOUT_MS;
  for (;;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (Date.now() > endMs) throw new Error(`${url} does not answer`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function portOf(task) {
  return task.Status.PortStatus?.Ports?.[0]?.PublishedPort;
}

async function tasksOf(id) {
  const filters = encodeURIComponent(JSON.stringify({ service: [id], 'desired-state': ['running'] }));
  const tasks = await call('GET', `/tasks?filters=${filters}`);
  return tasks.sort((a, b) => a.Slot - b.Slot);
}

/** Starts a node in a process group of its own, so that Ctrl-C reaches only this script. */
function startNode(name, args) {
  const logFile = `${directory}/${name}.log`;
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      'exec "$0" "$@" 2>"$SWARMD_LOG"',
      `${root}bin/swarmd`,
      ...args,
      '--hostname',
      name,
      '--state-dir',
      `${directory}/${name}`,
    ],
    { detached: true, stdio: 'ignore', env: { ...process.env, SWARMD_LOG: logFile } },
  );
  const node = { name, child, logFile, exited: false };
  node.ended = new Promise((resolve) => child.once('exit', resolve)).then(() => {
    node.exited = true;
  });
  children.push(node);
  return node;
}

/** Waits for a condition, but not for a node that has died. */
async function until(what, timeoutMs, node, condition) {
  const endMs = Date.now() + timeoutMs;
  for (;;) {
    if (stopping) await new Promise(() => undefined);
    let problem;
    try {
      if (await condition()) return;
    } catch (error) {
      problem = error.message;
    }
    const dead = children.find(({ exited }) => exited);
    if (dead !== undefined) throw new Error(`${dead.name} ended: ${lastLine(dead.logFile)}`);
    if (Date.now() > endMs) {
      throw new Error(
        `gave up waiting until ${what}${problem === undefined ? '' : ` (${problem})`}; see ${node.logFile}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function lastLine(file) {
  return existsSync(file) ? (readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? '') : '';
}

/** Removes the service, waits until its processes are gone, stops the nodes and removes the state. */
async function stop(code) {
  if (stopping) return;
  stopping = true;
  if (children.length > 0) say('stopping');
  await removeService().catch(() => undefined);
  for (const { child } of children.toReversed()) child.kill('SIGTERM');
  const timer = setTimeout(() => children.forEach(({ child }) => child.kill('SIGKILL')), STOP_TIMEOUT_MS);
  await Promise.all(children.map(({ ended }) => ended));
  clearTimeout(timer);
  if (directory !== '' && code === 0) rmSync(directory, { recursive: true, force: true });
  else if (directory !== '') say(`logs are kept in ${directory}`);
  if (children.length > 0 && code === 0) say('everything is stopped and cleaned up');
  process.exit(code);
}

async function removeService() {
  const services = await call('GET', '/services');
  for (const { ID } of services) await call('DELETE', `/services/${ID}`);
  const endMs = Date.now() + STOP_TIMEOUT_MS;
  while (Date.now() < endMs && (await call('GET', '/tasks')).length > 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** One call of the Engine API over the manager's socket. */
function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const outgoing = request({ socketPath: socket, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('end', () => {
        const value = parse(text);
        if (response.statusCode < 300) resolve(value);
        else reject(new Error(`${method} ${path}: ${value?.message ?? response.statusCode}`));
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readOptions() {
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean' }, port: { type: 'string', default: '4242' } } });
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 1 || port > 65_000)
      throw new Error(`--port ${values.port}: must be a number from 1 to 65000`);
    return { once: values.once === true, port };
  } catch (error) {
    process.stderr.write(`swarmkit-ts: ${error.message}\nusage: npm start -- [--once] [--port 4242]\n`);
    process.exit(2);
  }
}

function checkNode() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major >= 24) return;
  throw new Error(
    `Node.js ${process.version} runs this, but 24 or later is needed and npm brought none for this platform: install Node.js 24.`,
  );
}

/** The nodes' ports must be free: the manager's and one for each worker. */
async function checkPort(first) {
  for (let port = first; port < first + 3; port++) {
    await new Promise((resolve, reject) => {
      const server = createServer();
      server.once('error', (error) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new Error(
                `port ${port} is in use: stop what listens there, or choose another with: npm start -- --port 14242`,
              )
            : new Error(`cannot listen on port ${port}: ${error.message}`),
        ),
      );
      server.listen(port, '127.0.0.1', () => server.close(resolve));
    });
  }
}

function makeDirectory() {
  try {
    return mkdtempSync(`${tmpdir()}/swarmkit-ts-`);
  } catch (error) {
    throw new Error(`cannot write to ${tmpdir()}: set TMPDIR to a directory where you may write (${error.code})`, {
      cause: error,
    });
  }
}

function table(head, rows) {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => String(row[column]).length)));
  for (const row of [head, ...rows])
    print(
      row
        .map((cell, column) => String(cell).padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
}

function say(text) {
  print(`swarmkit-ts: ${text}`);
}

function print(text) {
  process.stdout.write(`${text}\n`);
}
