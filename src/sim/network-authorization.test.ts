import type {
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
} from '@bufbuild/protobuf';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import {
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
  createClient,
  type BoundService,
  type CallContext,
  type Credentials,
  type RpcChannel,
} from '../api/index.js';
import { Code, isSwarmError } from '../base/index.js';
import { TestIdentity } from '../platform/rpc/test-certificates.js';
import { NETWORKS, outcome, type Fixture } from '../../test/support/network-fixtures.js';

const SERVICES = [
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
] as const;
const METHODS: readonly DescMethod[] = SERVICES.flatMap((service) => service.methods as readonly DescMethod[]);

/** What SwarmKit's documentation says, spelled out anew so that the .proto files are checked too. */
const INSECURE = ['CA.GetRootCACertificate', 'NodeCA.IssueNodeCertificate', 'NodeCA.NodeCertificateStatus'];
const FOR_WORKERS = ['Dispatcher', 'LogBroker', 'ResourceAllocator'];

function rule(method: DescMethod): 'insecure' | 'members' | 'managers' {
  const service = method.parent.name;
  if (INSECURE.includes(`${service}.${method.name}`)) return 'insecure';
  return FOR_WORKERS.includes(service) ? 'members' : 'managers';
}

const NEVER = new AbortController().signal;
const seen: CallContext[] = [];

/** Every method of every service, noting who called. */
const services: readonly BoundService[] = SERVICES.map((service) => ({
  service,
  handlers: Object.fromEntries(
    (service.methods as readonly DescMethod[]).map((method) => [method.localName, handlerOf(method)]),
  ),
}));

function handlerOf(method: DescMethod): (request: unknown, context: CallContext) => unknown {
  if (method.methodKind === 'server_streaming') {
    return async function* (_, context) {
      yield* [] as const;
      await Promise.resolve(seen.push(context));
    };
  }
  return (_, context) => {
    seen.push(context);
    return Promise.resolve({});
  };
}

async function call(channel: RpcChannel, method: DescMethod, headers = new Map<string, string>()): Promise<number> {
  const options = { signal: NEVER, headers };
  try {
    if (method.methodKind === 'unary') await channel.unary(method as DescMethodUnary, {}, options);
    else if (method.methodKind === 'server_streaming') {
      const replies = channel.serverStream(method as DescMethodServerStreaming, {}, options);
      for await (const reply of replies) throw new Error(`unexpected ${JSON.stringify(reply)}`);
    } else await channel.clientStream(method as DescMethodClientStreaming, nothing(), options);
    return Code.OK;
  } catch (error) {
    if (isSwarmError(error)) return error.code;
    throw error;
  }
}

async function* nothing(): AsyncGenerator<never> {}

describe.each(NETWORKS)('authorization on the $name network', ({ name, make }) => {
  let fixture: Fixture;
  let addr: string;
  beforeAll(async () => {
    fixture = await make();
    addr = (await fixture.listen(services)).addr;
    fixture.revoked.add('removed-1');
  });
  afterAll(() => fixture.dispose());
  afterEach(() => void seen.splice(0));

  async function allowed(credentials: Credentials): Promise<string[]> {
    const channel = fixture.dial(addr, credentials);
    const names: string[] = [];
    for (const method of METHODS) {
      const code = await call(channel, method);
      expect(code).toBeOneOf([Code.OK, Code.PERMISSION_DENIED]);
      if (code === Code.OK) names.push(method.toString());
    }
    expect(seen.length).toBe(names.length);
    return names;
  }

  const methodsOf = (...rules: string[]): string[] =>
    METHODS.filter((method) => rules.includes(rule(method))).map((method) => method.toString());

  const mutual = async (...leaf: Parameters<Fixture['issue']>): Promise<Credentials> => ({
    kind: 'mutual',
    identity: new TestIdentity(await fixture.issue(...leaf)),
  });

  it('knows 65 methods', () => {
    expect(METHODS.length).toBe(65);
    expect(methodsOf('insecure').length).toBe(3);
    expect(methodsOf('members').length).toBe(10);
  });

  it('lets managers call everything', async () => {
    expect(await allowed(await mutual('manager-2', 'swarm-manager'))).toEqual(
      methodsOf('insecure', 'members', 'managers'),
    );
  });

  it('lets workers call what is for all members', async () => {
    expect(await allowed(await mutual('worker-1', 'swarm-worker'))).toEqual(methodsOf('insecure', 'members'));
  });

  it('lets callers without a certificate call what is insecure, as nobody', async () => {
    const { rootPem } = fixture.serverIdentity.current();
    for (const credentials of [{ kind: 'unverified' }, { kind: 'root', rootPem }] as const) {
      expect(await allowed(credentials)).toEqual(methodsOf('insecure'));
      expect(seen.splice(0).every((context) => context.peer === undefined)).toBe(true);
    }
  });

  it('lets a removed node call what is insecure, as nobody, whatever its role', async () => {
    for (const role of ['swarm-worker', 'swarm-manager'] as const) {
      expect(await allowed(await mutual('removed-1', role))).toEqual(methodsOf('insecure'));
      expect(seen.splice(0).every((context) => context.peer === undefined)).toBe(true);
    }
  });

  // Where identities are told instead of proven, nobody can show one thing and be another.
  if (name !== 'simulated') {
    it('treats a certificate of another cluster like none', async () => {
      // Such a client would not talk to us: only one that claims our cluster towards itself gets this far.
      const identity = await fixture.issue('manager-9', 'swarm-manager', 'cluster-2');
      const claimed = { ...identity, peer: { ...identity.peer, clusterId: 'cluster-1' } };
      expect(await allowed({ kind: 'mutual', identity: new TestIdentity(claimed) })).toEqual(methodsOf('insecure'));
      expect(seen.every((context) => context.peer === undefined)).toBe(true);
    });

    it('treats a certificate of another root like none, and says so', async () => {
      const foreign = await fixture.issueForeign('manager-9', 'swarm-manager');
      const identity = new TestIdentity({ ...foreign, rootPem: fixture.serverIdentity.current().rootPem });
      const credentials = { kind: 'mutual', identity } as const;
      expect(await allowed(credentials)).toEqual(methodsOf('insecure'));
      const listing = createClient(Control, fixture.dial(addr, credentials)).listNodes({}, { signal: NEVER });
      expect(await outcome(listing)).toMatchObject({
        code: Code.PERMISSION_DENIED,
        message: expect.stringContaining('the client certificate is not valid'),
      });
    });
  }

  describe('of forwarded calls', () => {
    const forwarded = (cn: string, ou: string, org: string): Map<string, string> =>
      new Map([
        ['forwarded_cert', 'true'],
        ['forwarded_cert_cn', cn],
        ['forwarded_cert_ou', ou],
        ['forwarded_cert_org', org],
        ['remote_addr', '192.0.2.7:1234'],
      ]);
    const { heartbeat } = Dispatcher.method;
    const { getNode } = Control.method;
    const { issueNodeCertificate } = NodeCA.method;
    let manager: RpcChannel;
    let worker: RpcChannel;
    beforeAll(async () => {
      manager = await fixture.dialAs(addr, 'manager-2', 'swarm-manager');
      worker = await fixture.dialAs(addr, 'worker-1', 'swarm-worker');
    });

    it('lets a manager speak for a worker, who then has no more rights than usual', async () => {
      const headers = forwarded('worker-5', 'swarm-worker', 'cluster-1');
      expect(await call(manager, heartbeat, headers)).toBe(Code.OK);
      expect(seen[0]).toMatchObject({
        peer: { nodeId: 'worker-5', role: 'swarm-worker', clusterId: 'cluster-1', forwardedBy: 'manager-2' },
        remoteAddr: '192.0.2.7:1234',
      });
      expect(await call(manager, getNode, headers)).toBe(Code.PERMISSION_DENIED);
    });

    it('understands several organizational units', async () => {
      const headers = forwarded('manager-5', 'other, swarm-manager', 'cluster-1');
      expect(await call(manager, getNode, headers)).toBe(Code.OK);
    });

    it('lets a manager forward a call of nobody, for which blank values stand', async () => {
      const headers = forwarded('', '', '');
      expect(await call(manager, heartbeat, headers)).toBe(Code.PERMISSION_DENIED);
      expect(await call(manager, issueNodeCertificate, headers)).toBe(Code.OK);
      expect(seen).toMatchObject([{ peer: undefined, remoteAddr: '192.0.2.7:1234' }]);
    });

    it('refuses what is incomplete, removed or of another cluster', async () => {
      for (const [cn, ou, org] of [
        ['worker-5', '', 'cluster-1'],
        ['', 'swarm-worker', 'cluster-1'],
        ['worker-5', 'swarm-worker', ''],
        ['worker-5', 'swarm-worker', 'cluster-2'],
        ['removed-1', 'swarm-worker', 'cluster-1'],
      ] as const) {
        expect(await call(manager, heartbeat, forwarded(cn, ou, org))).toBe(Code.PERMISSION_DENIED);
      }
    });

    it('lets nobody else forward, and ignores what they say where all may call', async () => {
      const headers = forwarded('manager-1', 'swarm-manager', 'cluster-1');
      const nobody = fixture.dial(addr, { kind: 'unverified' });
      const removed = await fixture.dialAs(addr, 'removed-1', 'swarm-manager');
      for (const channel of [worker, nobody, removed]) {
        expect(await call(channel, getNode, headers)).toBe(Code.PERMISSION_DENIED);
        expect(await call(channel, heartbeat, headers)).toBe(Code.PERMISSION_DENIED);
        expect(await call(channel, issueNodeCertificate, headers)).toBe(Code.OK);
      }
      expect(seen.map((context) => context.peer?.nodeId)).toEqual(['worker-1', undefined, undefined]);
      expect(seen.every((context) => !context.remoteAddr.startsWith('192.'))).toBe(true);
    });
  });
});
