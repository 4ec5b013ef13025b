import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { create, getOption, toBinary, type DescMethod } from '@bufbuild/protobuf';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import {
  CA,
  Control,
  Dispatcher,
  Health,
  IssueNodeCertificateRequestSchema,
  LogBroker,
  Logs,
  NodeCA,
  Raft,
  RaftMembership,
  ResourceAllocator,
  Watch,
} from '../src/api/index.js';
import { authorization, Role } from '../src/api/gen/swarmkit/options/authorization_pb.js';
import { TestRoot } from '../src/platform/rpc/test-certificates.js';
import { useLab } from './support/lab.js';
import { clusterInLog } from './support/log-reader.js';
import { RawConnection, frame, sendBytes, type RawOutcome, type ShownCertificate } from './support/raw-call.js';
import { startSwarm, type Swarm } from './support/new-swarm.js';
import { waitFor } from './support/wait.js';

const OK = 0;
const INVALID_ARGUMENT = 3;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

const METHODS: readonly DescMethod[] = [
  CA,
  Control,
  Dispatcher,
  Health,
  LogBroker,
  Logs,
  NodeCA,
  Raft,
  RaftMembership,
  ResourceAllocator,
  Watch,
].flatMap((service) => service.methods);

const LIST_NODES = '/docker.swarmkit.v1.Control/ListNodes';
const CREATE_SERVICE = '/docker.swarmkit.v1.Control/CreateService';
const HEARTBEAT = '/docker.swarmkit.v1.Dispatcher/Heartbeat';
const ISSUE = '/docker.swarmkit.v1.NodeCA/IssueNodeCertificate';
const EMPTY = frame(new Uint8Array());
const MIB = 1024 * 1024;

function certificateIn(stateDir: string): ShownCertificate {
  const read = (name: string): string => readFileSync(`${stateDir}/certificates/${name}`, 'utf8');
  // The key's PEM headers are ours, and OpenSSL does not know them.
  const privateKeyPem = read('swarm-node.key').replaceAll(/^[\w-]+: .*\n+/gm, '');
  return { certificatePem: read('swarm-node.crt'), privateKeyPem };
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

describe('the remote API', () => {
  const lab = useLab();
  let swarm: Swarm;
  let other: Swarm;
  let root: TestRoot;
  let clusterId: string;
  let worker: ShownCertificate;
  let before: string;

  /** Everything that a refused call could have changed, versions included. */
  const state = async (): Promise<string> => {
    const { engine } = swarm.manager;
    const parts = ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs', '/networks'];
    const answers = await Promise.all(parts.map((path) => engine.json('GET', path)));
    return JSON.stringify(answers, undefined, 1);
  };
  const once = async (
    path: string,
    body: Uint8Array,
    certificate?: ShownCertificate,
    headers?: Readonly<Record<string, string>>,
  ): Promise<RawOutcome> => {
    using connection = new RawConnection(swarm.addr, certificate);
    return await connection.call(path, body, headers);
  };

  /** Why certificates and calls were refused, as logged. */
  const complaints = (): readonly string[] =>
    swarm.manager
      .logged(/a client certificate was not accepted|a call was refused/)
      .map(({ peer, reason }) => `${String(peer)} ${String(reason)}`);

  /** The complaints with this reason, once there is one. */
  const complained = (reason: RegExp): Promise<readonly string[]> =>
    waitFor(`a complaint ${String(reason)}`, () => {
      const lines = complaints().filter((text) => reason.test(text));
      return lines.length > 0 && lines;
    });

  beforeAll(async () => {
    swarm = await startSwarm(lab, 'manager');
    other = await startSwarm(lab, 'other');
    const member = lab.swarmd('member', {
      engineApi: false,
      args: ['--join-addr', swarm.addr, '--join-token', swarm.token],
    });
    await member.start();
    worker = certificateIn(member.stateDir);
    const cluster = clusterInLog(`${swarm.manager.stateDir}/swarm`);
    clusterId = cluster.id;
    const { caCert, caKey } = cluster.rootCa ?? { caCert: [], caKey: [] };
    root = await TestRoot.load(Buffer.from(caCert).toString(), Buffer.from(caKey).toString());
    await waitFor('the node to be ready', async () => {
      const nodes = await swarm.manager.engine.json<readonly { Status: { State: string } }[]>('GET', '/nodes');
      return nodes.length === 2 && nodes.every((node) => node.Status.State === 'ready');
    });
  });

  beforeEach(async () => {
    before = await state();
  });

  afterEach(async () => {
    expect(swarm.manager.program.isRunning).toBe(true);
    expect(await state()).toBe(before);
    const good = await once(LIST_NODES, EMPTY, certificateIn(`${swarm.manager.stateDir}/swarm`));
    expect(good, 'a good call still works').toEqual({ status: OK, message: '' });
  });

  it('survives bytes that are no TLS, and bytes in TLS that are no HTTP/2', async () => {
    const texts = [
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.from([0x16, 3, 1, 0xff, 0xff]),
      randomBytes(100_000),
      Buffer.alloc(0),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + '\xff'.repeat(1000), 'latin1'),
    ];
    for (const bytes of texts) for (const tls of [false, true]) await sendBytes(swarm.addr, bytes, tls, 200);
  });

  it('refuses what cannot be decoded', async () => {
    const own = certificateIn(`${swarm.manager.stateDir}/swarm`);
    const junk = Buffer.from('ffffffffffffffffffffffff', 'hex');
    for (const [path, certificate] of [
      [ISSUE, undefined],
      [HEARTBEAT, worker],
      [CREATE_SERVICE, own],
    ] as const) {
      const { status } = await once(path, frame(junk), certificate);
      expect([INVALID_ARGUMENT, INTERNAL]).toContain(status);
      expect((await once(path, frame(junk, 5, 1), certificate)).status, 'compressed').not.toBe(OK);
      expect((await once(path, frame(junk).subarray(0, 9), certificate)).status, 'cut short').not.toBe(OK);
      expect((await once(path, new Uint8Array(), certificate)).status, 'nothing').not.toBe(OK);
    }
    const shapes = [
      await once('/no.such.Service/Method', EMPTY, own),
      await once('/docker.swarmkit.v1.Control/NoSuchMethod', EMPTY, own),
      await once('/', EMPTY, own),
    ];
    expect(shapes.map(({ status }) => status)).toEqual([UNIMPLEMENTED, UNIMPLEMENTED, UNIMPLEMENTED]);
  });

  it('refuses messages over the limit, by their header and with all their bytes', async () => {
    const own = certificateIn(`${swarm.manager.stateDir}/swarm`);
    for (const [path, certificate] of [
      [ISSUE, undefined],
      [CREATE_SERVICE, own],
    ] as const) {
      const declared = await once(path, frame(new Uint8Array(10), 0xffffffff), certificate);
      expect(declared.status).toBe(RESOURCE_EXHAUSTED);
      const sent = await once(path, frame(new Uint8Array(16 * MIB)), certificate);
      expect([RESOURCE_EXHAUSTED, -1]).toContain(sent.status);
    }
  });

  it('lets nobody without a certificate in, save for joining', async () => {
    using connection = new RawConnection(swarm.addr);
    for (const method of METHODS) {
      if (getOption(method, authorization).insecure) continue;
      const { status } = await connection.call(pathOf(method), EMPTY);
      expect([PERMISSION_DENIED, UNIMPLEMENTED], pathOf(method)).toContain(status);
    }
    expect((await connection.call(LIST_NODES, EMPTY)).status).toBe(PERMISSION_DENIED);
    expect(await complained(/no client certificate was presented/)).toHaveLength(1);
  });

  it('lets a worker call nothing that is for managers', async () => {
    using connection = new RawConnection(swarm.addr, worker);
    const forManagers = METHODS.filter((method) => {
      const { insecure, roles } = getOption(method, authorization);
      return !insecure && !roles.includes(Role.WORKER);
    });
    expect(forManagers.length).toBeGreaterThan(45);
    for (const method of forManagers) {
      const { status } = await connection.call(pathOf(method), EMPTY);
      expect([PERMISSION_DENIED, UNIMPLEMENTED], pathOf(method)).toContain(status);
    }
    for (const name of ['ListNodes', 'RemoveNode', 'CreateService', 'RemoveService', 'CreateSecret', 'UpdateCluster']) {
      const { status } = await connection.call(`/docker.swarmkit.v1.Control/${name}`, EMPTY);
      expect(status, name).toBe(PERMISSION_DENIED);
    }
    expect((await connection.call(LIST_NODES, EMPTY)).message).toContain('swarm-worker');
  });

  it.each([
    ['an expired certificate', { expired: true }, /certificate has expired/],
    ['a certificate of another cluster id', { clusterId: 'another' }, /another/],
  ])('refuses %s of its own root, and says so once', async (_, flaw, reason) => {
    const nodeId = `flawed-${Object.keys(flaw).join('')}`;
    const identity = await root.issue({ nodeId, role: 'swarm-manager', clusterId, ...flaw });
    for (let attempt = 0; attempt < 3; attempt++) {
      for (const path of [LIST_NODES, CREATE_SERVICE, HEARTBEAT]) {
        expect((await once(path, EMPTY, identity)).status).toBe(PERMISSION_DENIED);
      }
    }
    expect(await complained(reason)).toHaveLength(1);
  });

  it('takes a certificate of its own root that has no flaw', async () => {
    const identity = await root.issue({ nodeId: 'sound', role: 'swarm-manager', clusterId });
    expect((await once(LIST_NODES, EMPTY, identity)).status).toBe(OK);
  });

  it('refuses certificates of other roots, whatever they claim', async () => {
    const forged = await (await TestRoot.create()).issue({ nodeId: 'forged', role: 'swarm-manager', clusterId });
    const foreign = certificateIn(`${other.manager.stateDir}/swarm`);
    for (const certificate of [forged, foreign]) {
      for (const path of [LIST_NODES, CREATE_SERVICE, HEARTBEAT]) {
        expect((await once(path, EMPTY, certificate)).status).toBe(PERMISSION_DENIED);
      }
    }
    await complained(/unknown authority/);
    const said = complaints();
    expect(new Set(said).size, 'each complaint once').toBe(said.length);
  });

  it('admits nobody with a token that is not its own', async () => {
    const csr = new TextEncoder().encode(
      '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n',
    );
    const [prefix, version, digest] = swarm.token.split('-');
    const tokens = [
      '',
      'nonsense',
      other.token,
      [prefix, version, digest, 'a'.repeat(25)].join('-'),
      'x'.repeat(100_000),
    ];
    for (const token of tokens) {
      const body = toBinary(
        IssueNodeCertificateRequestSchema,
        create(IssueNodeCertificateRequestSchema, { csr, token }),
      );
      expect(await once(ISSUE, frame(body)), token.slice(0, 80)).toEqual({
        status: INVALID_ARGUMENT,
        message: 'A valid join token is necessary to join this cluster',
      });
    }
  });

  it('is not impressed by many callers at once', async () => {
    const connections = Array.from({ length: 50 }, () => new RawConnection(swarm.addr));
    const outcomes = await Promise.all(
      connections.flatMap((connection) => Array.from({ length: 20 }, () => connection.call(CREATE_SERVICE, EMPTY))),
    );
    for (const connection of connections) connection[Symbol.dispose]();
    expect(outcomes.filter(({ status }) => status !== PERMISSION_DENIED)).toEqual([]);
  });
});
