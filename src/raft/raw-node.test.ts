import { describe, expect, it } from 'vitest';
import { SwarmError } from '../base/index.js';
import { bytes, entriesOfTerms, groupOf, storageOf, TestGroup, TestMember } from './group.test-helper.js';
import {
  InvariantError,
  message,
  MessageType,
  NONE,
  unplacedEntry,
  LOCAL_APPEND_THREAD,
  type Message,
  type RaftOptions,
} from './index.js';

const VOTERS = [1n, 2n, 3n];

function newMember(options: Partial<RaftOptions> = {}, voters = VOTERS): TestMember {
  return new TestMember(1n, storageOf({ voters }), options);
}

describe('options', () => {
  it.each<[Partial<RaftOptions>, string]>([
    [{ id: 0n }, 'id: cannot use none as id'],
    [{ id: LOCAL_APPEND_THREAD }, 'id: cannot use local target as id'],
    [{ id: 2n ** 64n }, 'id: must fit into 64 bits'],
    [{ heartbeatTicks: 0 }, 'heartbeatTicks: heartbeat tick must be greater than 0'],
    [{ electionTicks: 1 }, 'electionTicks: election tick must be greater than heartbeat tick'],
    [{ inflightMessagesMax: 0 }, 'inflightMessagesMax: max inflight messages must be greater than 0'],
    [{ messageBytesMax: 10, inflightBytesMax: 9 }, 'inflightBytesMax: max inflight bytes must be >= max message size'],
    [{ readMode: 'leaseBased' }, 'readMode: checkQuorum must be enabled when readMode is leaseBased'],
  ])('%o are refused', (options, text) => {
    const make = (): TestMember => new TestMember(options.id ?? 1n, storageOf({ voters: VOTERS }), options);
    expect(make).toThrow(SwarmError);
    expect(make).toThrow(text);
  });
});

describe('messages that a member does not take', () => {
  it.each([
    [MessageType.MsgHup, 'localMessage'],
    [MessageType.MsgCheckQuorum, 'localMessage'],
    [MessageType.MsgStorageApplyResp, 'localMessage'],
    [MessageType.MsgAppResp, 'peerNotFound'],
    [MessageType.MsgHeartbeatResp, 'peerNotFound'],
    [MessageType.MsgProp, 'malformedMessage'],
    [MessageType.MsgReadIndex, 'malformedMessage'],
  ] as const)('type %i from an unknown member: %s', (type, refusal) => {
    expect(newMember().node.step(message(type, { from: 9n, to: 1n }))).toBe(refusal);
  });

  it.each([
    { what: 'a gap', entries: entriesOfTerms([1, 1], 2) },
    { what: 'falling terms', entries: entriesOfTerms([2, 1]) },
    { what: 'a term beyond its own', entries: entriesOfTerms([3]) },
  ])('an append with $what', ({ entries }) => {
    const member = newMember();
    expect(member.node.step(message(MessageType.MsgApp, { from: 2n, term: 2n, entries }))).toBe('malformedMessage');
    expect(member.node.basicStatus().term).toBe(0n);
  });

  it('a configuration change that cannot be read', () => {
    const member = newMember({}, [1n]);
    member.lead([]);
    const entries = [unplacedEntry(Uint8Array.from([0x10, 0x09]), 1)];
    expect(member.node.step(message(MessageType.MsgProp, { from: 1n, entries }))).toBe('malformedMessage');
  });
});

describe('proposals', () => {
  it('are dropped without a leader and while the leadership is handed over', () => {
    const group = groupOf(3);
    expect(group.member(1n).node.propose(bytes('x'))).toBe('proposalDropped');
    const leader = group.elect(1n);
    group.isLost = () => true;
    leader.node.propose(bytes('x'));
    leader.node.transferLeader(2n);
    expect(leader.node.propose(bytes('y'))).toBe('proposalDropped');
  });

  it('reach the leader through a follower, unless forwarding is disabled', () => {
    for (const disableProposalForwarding of [false, true]) {
      const group = groupOf(3, { disableProposalForwarding });
      const leader = group.elect(1n);
      const refusal = group.member(2n).node.propose(bytes('x'));
      group.settle();
      expect(refusal).toBe(disableProposalForwarding ? 'proposalDropped' : undefined);
      expect(leader.node.basicStatus().commit).toBe(disableProposalForwarding ? 1n : 2n);
    }
  });

  it('keep their order when several are proposed at once', () => {
    const group = groupOf(3);
    group.elect(1n).node.proposeAll([bytes('a'), bytes('b')]);
    group.settle();
    expect(group.member(3n).applied.map(({ Data }) => new TextDecoder().decode(Data))).toEqual(['', 'a', 'b']);
  });

  it('are refused beyond the bytes that may be uncommitted, until some are applied', () => {
    const group = groupOf(3, { uncommittedBytesMax: 20 });
    const leader = group.elect(1n);
    group.isLost = () => true;
    expect([10, 10, 1].map((size) => leader.node.propose(new Uint8Array(size)))).toEqual([
      undefined,
      undefined,
      'proposalDropped',
    ]);
    expect(leader.node.propose(bytes(''))).toBeUndefined();
    group.settle();
    group.isLost = () => false;
    leader.tick(2);
    for (const from of [2n, 3n]) leader.receive(MessageType.MsgAppResp, { from, term: 1n, index: 4n });
    expect(leader.node.propose(new Uint8Array(30))).toBeUndefined();
  });
});

describe('flow control', () => {
  it('stops at the messages in flight and goes on with every acknowledgement', () => {
    const member = newMember({ inflightMessagesMax: 2, messageBytesMax: 0 });
    member.lead([2n]);
    member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 1n });
    const sentTo2 = (): number => member.work().filter(({ to }) => to === 2n).length;
    const counts = [1, 2, 3].map(() => {
      member.node.propose(bytes('x'));
      return sentTo2();
    });
    expect(counts).toEqual([1, 1, 0]);
    const sent = member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 2n });
    expect(sent.filter(({ to }) => to === 2n).flatMap(({ entries }) => entries.map(({ Index }) => Index))).toEqual([
      4n,
    ]);
  });

  it('stops at the bytes in flight', () => {
    const member = newMember({ inflightBytesMax: 100, messageBytesMax: 0 });
    member.lead([2n]);
    member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 1n });
    for (let count = 0; count < 3; count += 1) member.node.propose(new Uint8Array(60));
    expect(member.work().filter(({ to }) => to === 2n)).toHaveLength(2);
  });

  it('finds out anew where an unreachable follower is', () => {
    const member = newMember();
    member.lead([2n]);
    member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 1n });
    member.node.reportUnreachable(2n);
    expect(member.node.status().progress.get(2n)?.state).toBe('probe');
  });
});

describe('handing over the leadership', () => {
  it('makes a follower that is behind leader once it has everything', () => {
    const group = groupOf(3);
    const leader = group.elect(1n);
    group.isLost = ({ to }) => to === 3n;
    leader.node.propose(bytes('x'));
    group.settle();
    group.isLost = () => false;
    leader.node.transferLeader(3n);
    leader.tick(1);
    group.settle();
    leader.receive(MessageType.MsgHeartbeatResp, { from: 3n, term: 1n });
    leader.node.tick();
    group.settle();
    expect(group.member(3n).node.basicStatus().role).toBe('leader');
    expect(leader.node.basicStatus()).toMatchObject({ role: 'follower', lead: 3n, leadTransferee: NONE });
  });

  it('can be asked of a follower', () => {
    const group = groupOf(3);
    group.elect(1n);
    group.member(2n).node.transferLeader(3n);
    group.settle();
    expect(group.member(3n).node.basicStatus().role).toBe('leader');
  });

  it('is given up after an election timeout', () => {
    const member = newMember();
    member.lead([2n]);
    member.node.transferLeader(2n);
    expect(member.node.basicStatus().leadTransferee).toBe(2n);
    member.tick(10);
    expect(member.node.basicStatus().leadTransferee).toBe(NONE);
  });

  it('passes the lease of the others', () => {
    const group = groupOf(3, { checkQuorum: true, preVote: true });
    for (const member of group.members.values()) member.node.setRandomizedElectionTicks(11);
    const leader = group.elect(1n);
    expect(leader.node.basicStatus().role).toBe('leader');
    leader.node.transferLeader(2n);
    group.settle();
    expect(group.member(2n).node.basicStatus().role).toBe('leader');
  });
});

describe('reads (thesis, section 6.4)', () => {
  it('are confirmed by a quorum, on the leader and through a follower', () => {
    const group = groupOf(3);
    const leader = group.elect(1n);
    leader.node.readIndex(bytes('own'));
    group.member(2n).node.readIndex(bytes('other'));
    group.settle();
    expect(leader.readStates).toEqual([{ index: 1n, requestCtx: bytes('own') }]);
    expect(group.member(2n).readStates).toEqual([{ index: 1n, requestCtx: bytes('other') }]);
  });

  it('are not answered by a leader that has lost its quorum', () => {
    const group = groupOf(3);
    const leader = group.elect(1n);
    group.isLost = () => true;
    leader.node.readIndex(bytes('x'));
    group.settle();
    expect(leader.readStates).toEqual([]);
  });

  it('wait until the leader has committed in its term', () => {
    const member = newMember();
    member.lead([2n]);
    member.node.readIndex(bytes('x'));
    expect(member.work().filter(({ type }) => type === MessageType.MsgHeartbeat)).toEqual([]);
    const sent = member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 1n });
    const [heartbeat] = sent.filter(({ type }) => type === MessageType.MsgHeartbeat);
    member.receive(MessageType.MsgHeartbeatResp, { from: 2n, term: 1n, context: heartbeat?.context ?? bytes('') });
    expect(member.readStates).toEqual([{ index: 1n, requestCtx: bytes('x') }]);
  });

  it('are answered at once by a leader that is alone or trusts its lease', () => {
    const alone = newMember({}, [1n]);
    alone.lead([]);
    alone.node.readIndex(bytes('x'));
    alone.work();
    expect(alone.readStates).toEqual([{ index: 1n, requestCtx: bytes('x') }]);

    const leased = newMember({ checkQuorum: true, readMode: 'leaseBased' });
    leased.lead([2n]);
    leased.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 1n });
    leased.node.readIndex(bytes('x'));
    leased.work();
    expect(leased.readStates).toHaveLength(1);
  });

  it.each([bytes(''), bytes('short'), new Uint8Array(8).fill(255)])(
    'ignore an answer that makes no sense: %o',
    (context) => {
      const member = newMember();
      member.lead([2n]);
      member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 1n });
      member.node.readIndex(bytes('x'));
      member.receive(MessageType.MsgHeartbeatResp, { from: 2n, term: 1n, context });
      expect(member.readStates).toEqual([]);
    },
  );
});

describe('pre-vote (thesis, section 9.6)', () => {
  it('keeps a member that was cut off from raising the term', () => {
    const group = groupOf(3, { preVote: true });
    const leader = group.elect(1n);
    group.isLost = ({ from, to }) => from === 3n || to === 3n;
    group.member(3n).tick(100);
    group.isLost = () => false;
    leader.node.tick();
    group.settle();
    expect(group.member(3n).node.basicStatus()).toMatchObject({ term: 1n, lead: 1n });
    expect(leader.node.basicStatus()).toMatchObject({ role: 'leader', term: 1n });
  });
});

describe('check quorum (thesis, section 6.2)', () => {
  it('makes a leader that hears nobody step down', () => {
    const member = newMember({ checkQuorum: true });
    member.lead([2n]);
    member.tick(10);
    member.tick(10);
    expect(member.node.basicStatus()).toMatchObject({ role: 'follower', term: 1n });
    expect(member.log).toEqual(['1 stepped down to follower since quorum is not active']);
  });
});

describe('the order of work', () => {
  it('is one Ready after the other, each ended by advance', () => {
    const member = newMember({}, [1n]);
    member.node.campaign();
    member.node.ready();
    expect(() => member.node.ready()).toThrow(InvariantError);
    const async = newMember({ asyncStorageWrites: true });
    expect(() => async.node.advance()).toThrow('Advance must not be called when using AsyncStorageWrites');
  });

  it('says when there is nothing to do', () => {
    const member = newMember();
    expect(member.node.hasReady()).toBe(false);
    expect(member.node.ready()).toMatchObject({ entries: [], messages: [], mustSync: false });
  });

  it('asks for a sync only when term, vote or entries change', () => {
    const member = newMember({}, [1n]);
    member.node.campaign();
    const syncs: boolean[] = [];
    while (member.node.hasReady()) {
      const ready = member.node.ready();
      syncs.push(ready.mustSync);
      member.storage.append(ready.entries);
      member.node.advance();
    }
    expect(syncs).toEqual([true, true, false]);
  });
});

describe('async storage writes', () => {
  it('take nothing for stable on the word of an older term, whose entries a later write may replace', () => {
    const { node, storage } = newMember({ asyncStorageWrites: true });
    const append = (from: bigint, term: bigint, entryTerm: number): Message[] => {
      node.step(message(MessageType.MsgApp, { from, term, entries: entriesOfTerms([entryTerm]) }));
      return node.ready().messages.flatMap(({ responses }) => [...responses]);
    };
    const answers = append(2n, 1n, 1);
    append(3n, 2n, 2);
    const last = append(2n, 3n, 1);
    const commitAndLook = (): MessageType[] => {
      node.step(message(MessageType.MsgHeartbeat, { from: 2n, term: 3n, commit: 1n }));
      return node.ready().messages.map(({ type }) => type);
    };
    for (const answer of answers) if (answer.to === 1n) node.step(answer);
    expect(commitAndLook()).not.toContain(MessageType.MsgStorageApply);
    storage.append(entriesOfTerms([1]));
    for (const answer of last) if (answer.to === 1n) node.step(answer);
    expect(commitAndLook()).toContain(MessageType.MsgStorageApply);
  });
});

describe('a member that restarts', () => {
  it('goes on from what is stable, and applies what the application has not', () => {
    const entries = entriesOfTerms([1, 1, 2]);
    const storage = storageOf({ voters: VOTERS, entries, hardState: { term: 2n, vote: 3n, commit: 2n } });
    const member = new TestMember(1n, storage, { applied: 1n });
    member.work();
    expect(member.node.basicStatus()).toMatchObject({ term: 2n, vote: 3n, commit: 2n, applied: 2n });
    expect(member.applied.map(({ Index }) => Index)).toEqual([2n]);
  });

  it('refuses a hard state that its log contradicts', () => {
    const storage = storageOf({ voters: VOTERS, hardState: { term: 2n, vote: 3n, commit: 2n } });
    expect(() => new TestMember(1n, storage)).toThrow('1 state.commit 2 is out of range [0, 0]');
  });
});

describe('a joint configuration', () => {
  it('is left by the leader itself, so that two voters are replaced at once', () => {
    const members = [1n, 2n, 3n, 4n, 5n].map((id) => new TestMember(id, storageOf({ voters: VOTERS })));
    const group = new TestGroup(members);
    const leader = group.elect(1n);
    const changes = (
      [
        [1, 2n],
        [1, 3n],
        [0, 4n],
        [0, 5n],
      ] as const
    ).map(([type, nodeId]) => ({ type, nodeId }));
    leader.node.proposeConfChange({ transition: 0, changes, context: bytes('') });
    group.settle();
    for (const id of [1n, 4n, 5n]) {
      const { voters } = group.member(id).node.status().configuration;
      expect([[...voters.incoming], [...voters.outgoing]]).toEqual([[1n, 4n, 5n], []]);
    }
  });
});
