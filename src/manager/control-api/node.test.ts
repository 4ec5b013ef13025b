import { describe, expect, it } from 'vitest';

import {
  NodeRole,
  NodeSpec_Availability,
  NodeStatus_State,
  RaftMemberStatus_Reachability,
  TaskState,
  timestampFromMs,
  type Node,
} from '../../api/index.js';
import { Code } from '../../base/index.js';
import { EXPIRED_CERTIFICATE_GRACE_MS } from './blacklist.js';
import type { RaftMember } from './deps.js';
import { CALL, NOW_MS, bytes, cluster, failure, fixture, node, task, type Fixture } from './test-fixture.js';
import { testCertificate } from './test-certificates.js';

const member = (nodeId: string, leader = false): RaftMember => ({
  nodeId,
  raftId: 7n,
  addr: '10.0.0.1:2377',
  leader,
  reachability: RaftMemberStatus_Reachability.REACHABLE,
});

const raftOf = (members: readonly RaftMember[], canRemove = true) => ({
  members: () => members,
  canRemoveMember: () => canRemove,
});

const manager = (id: string): Node => node(id, { spec: { desiredRole: NodeRole.MANAGER }, role: NodeRole.MANAGER });

async function withNodes(f: Fixture, ...nodes: readonly Node[]): Promise<Fixture> {
  await f.put('cluster', cluster());
  for (const object of nodes) await f.put('node', object);
  return f;
}

function demote(f: Fixture, nodeId: string): Promise<unknown> {
  const nodeVersion = f.get('node', nodeId)!.meta!.version!;
  return f.control.updateNode({ nodeId, nodeVersion, spec: { desiredRole: NodeRole.WORKER } }, CALL);
}

describe('promotion', () => {
  const promote = async (admitsMembers: boolean): Promise<unknown> => {
    const f = await withNodes(fixture({ raft: { ...raftOf([member('n1', true)]), admitsMembers } }), node('n2'));
    const nodeVersion = f.get('node', 'n2')!.meta!.version!;
    return failure(f.control.updateNode({ nodeId: 'n2', nodeVersion, spec: { desiredRole: NodeRole.MANAGER } }, CALL));
  };

  it('is refused where there can be only one manager', async () => {
    expect(await promote(false)).toEqual({
      code: Code.UNIMPLEMENTED,
      message: 'node n2 cannot be promoted: this cluster cannot have a second manager yet',
    });
  });

  it('sets the desired role where members are admitted', async () => {
    expect(await promote(true)).toBeUndefined();
  });
});

describe('reading nodes', () => {
  it('shows the raft standing of managers, without storing it', async () => {
    const f = await withNodes(fixture({ raft: raftOf([member('m1', true)]) }), manager('m1'), node('w1'));
    const managerStatus = { raftId: 7n, addr: '10.0.0.1:2377', leader: true, reachability: 2 };
    expect((await f.control.getNode({ nodeId: 'm1' }, CALL)).node?.managerStatus).toMatchObject(managerStatus);
    const { nodes } = await f.control.listNodes({}, CALL);
    expect(nodes[0]?.managerStatus).toMatchObject(managerStatus);
    expect(nodes[1]).toBe(f.get('node', 'w1'));
    expect(f.get('node', 'm1')?.managerStatus).toBeUndefined();
  });

  it('needs an id that exists', async () => {
    const { control } = fixture();
    const invalid = { code: Code.INVALID_ARGUMENT, message: 'invalid argument' };
    const missing = { code: Code.NOT_FOUND, message: 'node n1 not found' };
    expect(await failure(control.getNode({}, CALL))).toEqual(invalid);
    expect(await failure(control.getNode({ nodeId: 'n1' }, CALL))).toEqual(missing);
    expect(await failure(control.removeNode({}, CALL))).toEqual(invalid);
    expect(await failure(control.removeNode({ nodeId: 'n1' }, CALL))).toEqual(missing);
    const nodeVersion = { index: 1n };
    expect(await failure(control.updateNode({ nodeVersion, spec: {} }, CALL))).toEqual(invalid);
    expect(await failure(control.updateNode({ nodeId: 'n1', spec: {} }, CALL))).toEqual(invalid);
    expect(await failure(control.updateNode({ nodeId: 'n1', nodeVersion }, CALL))).toEqual(invalid);
    expect(await failure(control.updateNode({ nodeId: 'n1', nodeVersion, spec: {} }, CALL))).toEqual(missing);
  });
});

describe('updateNode', () => {
  it('replaces the spec and nothing else', async () => {
    const f = await withNodes(fixture(), node('w1', { status: { state: NodeStatus_State.READY } }));
    const nodeVersion = f.get('node', 'w1')!.meta!.version!;
    const spec = { annotations: { name: '', labels: { a: 'b' } }, availability: NodeSpec_Availability.DRAIN };
    const { node: updated } = await f.control.updateNode({ nodeId: 'w1', nodeVersion, spec }, CALL);
    expect(updated?.spec).toMatchObject(spec);
    expect(updated?.status?.state).toBe(NodeStatus_State.READY);
    expect(updated).toBe(f.get('node', 'w1'));
    expect(await failure(f.control.updateNode({ nodeId: 'w1', nodeVersion, spec }, CALL))).toEqual({
      code: Code.UNKNOWN,
      message: 'update out of sequence',
    });
  });

  it('does not demote the last manager', async () => {
    const f = await withNodes(fixture({ raft: raftOf([member('m1')]) }), manager('m1'), node('w1'));
    expect(await failure(demote(f, 'm1'))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: 'attempting to demote the last manager of the swarm',
    });
  });

  it('does not count a manager whose demotion is under way', async () => {
    const leaving = node('m2', { spec: { desiredRole: NodeRole.WORKER }, role: NodeRole.MANAGER });
    const f = await withNodes(fixture({ raft: raftOf([member('m1'), member('m2')]) }), manager('m1'), leaving);
    expect((await failure(demote(f, 'm1')))?.message).toBe('attempting to demote the last manager of the swarm');
  });

  it('does not demote a manager that raft does not know', async () => {
    const missing = { code: Code.NOT_FOUND, message: "can't find manager in raft memberlist" };
    for (const overrides of [{ raft: raftOf([member('m2')]) }, {}]) {
      const f = await withNodes(fixture(overrides), manager('m1'), manager('m2'));
      expect(await failure(demote(f, 'm1'))).toEqual(missing);
    }
  });

  it('does not demote where the quorum would be lost', async () => {
    const raft = raftOf([member('m1'), member('m2')], false);
    const f = await withNodes(fixture({ raft }), manager('m1'), manager('m2'));
    expect(await failure(demote(f, 'm1'))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
  });

  it('demotes otherwise, and leaves managers alone that stay managers', async () => {
    const f = await withNodes(fixture({ raft: raftOf([member('m1'), member('m2')]) }), manager('m1'), manager('m2'));
    expect(await failure(demote(f, 'm1'))).toBeUndefined();
    const nodeVersion = f.get('node', 'm2')!.meta!.version!;
    const spec = { desiredRole: NodeRole.MANAGER, availability: NodeSpec_Availability.DRAIN };
    expect(await failure(f.control.updateNode({ nodeId: 'm2', nodeVersion, spec }, CALL))).toBeUndefined();
  });
});

describe('removeNode', () => {
  const ready = (id: string): Node => node(id, { status: { state: NodeStatus_State.READY } });

  it('refuses a node that is ready, unless forced', async () => {
    const f = await withNodes(fixture(), ready('w1'));
    expect(await failure(f.control.removeNode({ nodeId: 'w1' }, CALL))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: "node w1 is not down and can't be removed",
    });
    expect(f.get('node', 'w1')).toBeDefined();
    await f.control.removeNode({ nodeId: 'w1', force: true }, CALL);
    expect(f.get('node', 'w1')).toBeUndefined();
  });

  it.each([false, true])('refuses a member of the raft group (force %s)', async (force) => {
    const demoted = node('m2', { role: NodeRole.MANAGER });
    const f = await withNodes(fixture({ raft: raftOf([member('m1'), member('m2')]) }), manager('m1'), demoted);
    for (const nodeId of ['m1', 'm2']) {
      expect(await failure(f.control.removeNode({ nodeId, force }, CALL))).toEqual({
        code: Code.FAILED_PRECONDITION,
        message: `node ${nodeId} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
      });
    }
  });

  it('refuses a manager where raft cannot be asked, but removes one that raft has let go', async () => {
    const f = await withNodes(fixture(), manager('m1'));
    expect(await failure(f.control.removeNode({ nodeId: 'm1', force: true }, CALL))).toEqual({
      code: Code.FAILED_PRECONDITION,
      message: 'node m1 is a manager but cannot access node information from the raft memberlist',
    });
    const g = await withNodes(fixture({ raft: raftOf([]) }), manager('m1'));
    expect(await failure(g.control.removeNode({ nodeId: 'm1' }, CALL))).toBeUndefined();
  });

  it('refuses the certificate from then on, until its expiry', async () => {
    const expiryMs = NOW_MS + 90 * 24 * 3_600_000;
    const { certificate } = await testCertificate({ expiryMs });
    const f = await withNodes(fixture(), node('w1', { certificate: { certificate } }), node('w2'));
    await f.put('node', node('w3', { certificate: { certificate: bytes('not a certificate') } }));
    for (const nodeId of ['w1', 'w2', 'w3']) await f.control.removeNode({ nodeId }, CALL);
    const entries = f.get('cluster', 'c1')!.blacklistedCertificates;
    expect(Object.keys(entries).sort()).toEqual(['w1', 'w2', 'w3']);
    expect(entries['w1']?.expiry).toEqual(timestampFromMs(expiryMs));
    expect(entries['w2']?.expiry).toBeUndefined();
    expect(entries['w3']?.expiry).toBeUndefined();
  });

  it('drops refused certificates that expired long ago', async () => {
    const f = fixture();
    const expiry = (ms: number) => ({ expiry: timestampFromMs(ms) });
    const edge = NOW_MS - EXPIRED_CERTIFICATE_GRACE_MS;
    await f.put(
      'cluster',
      cluster({ blacklistedCertificates: { old: expiry(edge - 1), kept: expiry(edge), ever: {} } }),
    );
    await f.put('node', node('w1'));
    await f.control.removeNode({ nodeId: 'w1' }, CALL);
    expect(Object.keys(f.get('cluster', 'c1')!.blacklistedCertificates).sort()).toEqual(['ever', 'kept', 'w1']);
  });

  it('orphans the tasks that had not ended', async () => {
    const f = await withNodes(fixture(), node('w1'));
    const states = [TaskState.ASSIGNED, TaskState.RUNNING, TaskState.COMPLETE, TaskState.FAILED];
    for (const state of states) await f.put('task', task(`t${state}`, { nodeId: 'w1', status: { state } }));
    await f.put('task', task('none', { nodeId: 'w1' }));
    await f.put('task', task('elsewhere', { nodeId: 'w2', status: { state: TaskState.RUNNING } }));
    await f.control.removeNode({ nodeId: 'w1' }, CALL);
    const stateOf = (id: string) => f.get('task', id)?.status?.state;
    expect(states.map((state) => stateOf(`t${state}`))).toEqual([
      TaskState.ORPHANED,
      TaskState.ORPHANED,
      TaskState.COMPLETE,
      TaskState.FAILED,
    ]);
    expect(stateOf('none')).toBe(TaskState.ORPHANED);
    expect(stateOf('elsewhere')).toBe(TaskState.RUNNING);
    expect(f.get('task', `t${TaskState.RUNNING}`)?.status).toMatchObject({
      message: 'Task belonged to a node that has been deleted',
      timestamp: timestampFromMs(NOW_MS),
    });
  });

  it('removes a node with more tasks than a transaction holds', async () => {
    const f = await withNodes(fixture(), node('w1'));
    await f.store.batch((batch) => {
      for (let at = 0; at < 1000; at++) batch.update((tx) => tx.create('task', task(`t${at}`, { nodeId: 'w1' })));
    });
    await f.control.removeNode({ nodeId: 'w1' }, CALL);
    expect(f.get('node', 'w1')).toBeUndefined();
    const { tasks } = await f.control.listTasks({ filters: { nodeIds: ['w1'] } }, CALL);
    expect(tasks.filter(({ status }) => status?.state === TaskState.ORPHANED)).toHaveLength(1000);
  });

  it('orphans nothing of a node that may not be removed', async () => {
    const f = await withNodes(fixture(), ready('w1'));
    await f.store.batch((batch) => {
      for (let at = 0; at < 100; at++) batch.update((tx) => tx.create('task', task(`t${at}`, { nodeId: 'w1' })));
    });
    const before = f.store.save();
    expect((await failure(f.control.removeNode({ nodeId: 'w1' }, CALL)))?.code).toBe(Code.FAILED_PRECONDITION);
    expect(f.store.save()).toEqual(before);
  });

  it('fails where there is no cluster object', async () => {
    const f = fixture();
    await f.put('node', node('w1'));
    expect(await failure(f.control.removeNode({ nodeId: 'w1' }, CALL))).toEqual({
      code: Code.INTERNAL,
      message: 'could not fetch cluster object',
    });
    expect(f.get('node', 'w1')).toBeDefined();
  });
});
