import { cpus, totalmem } from 'node:os';

import * as converge from './converge.bench.js';
import * as log from './log.bench.js';
import * as raft from './raft.bench.js';
import * as reads from './reads.bench.js';
import * as remotes from './remotes.bench.js';
import type { Benchmark, Row } from './row.js';
import * as rpc from './rpc.bench.js';
import * as scheduler from './scheduler.bench.js';
import * as start from './start.bench.js';
import * as store from './store.bench.js';
import { renderTable } from './table.js';
import * as update from './update.bench.js';

/** By the name that selects it. */
const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  start,
  converge,
  update,
  reads,
  store,
  scheduler,
  log,
  raft,
  rpc,
  remotes,
};

const given = process.argv.slice(2);
const unknown = given.filter((name) => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`bench: no benchmark ${unknown.join(', ')}: there are ${Object.keys(BENCHMARKS).join(', ')}\n`);
  process.exit(1);
}

process.on('SIGINT', () => process.exit(130)).on('SIGTERM', () => process.exit(143));

const rows: Row[] = [];
for (const name of given.length === 0 ? Object.keys(BENCHMARKS) : given) {
  process.stderr.write(`running ${name} …\n`);
  rows.push(...((await BENCHMARKS[name]?.run()) ?? []));
}
const processors = cpus();
const machine = `${processors.length} × ${processors[0]?.model ?? 'processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
process.stdout.write(`${machine}\n\n${renderTable(rows)}`);
