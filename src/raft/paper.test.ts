import { describe, expect, it } from 'vitest';
import { bytes, entriesOfTerms, groupOf, storageOf, TestGroup, TestMember } from './group.test-helper.js';
import { message, MessageType, NONE, type Entry, type Message, type Role } from './index.js';

const VOTERS = [1n, 2n, 3n];
const ELECTION_TICKS = 10;

function newMember(setup: { readonly term?: bigint; readonly vote?: bigint; readonly terms?: readonly number[] } = {}) {
  const hardState = { term: setup.term ?? 0n, vote: setup.vote ?? NONE, commit: 0n };
  return new TestMember(1n, storageOf({ voters: VOTERS, entries: entriesOfTerms(setup.terms ?? []), hardState }));
}

/** Member 1 in a role at term 1. */
function inRole(role: Role): TestMember {
  const member = newMember({ term: role === 'follower' ? 1n : 0n });
  if (role === 'candidate') member.node.campaign();
  if (role === 'leader') member.lead([2n]);
  member.work();
  expect(member.node.basicStatus()).toMatchObject({ role, term: 1n });
  return member;
}

function summary(sent: readonly Message[]): string[] {
  return sent.map(({ type, to, term }) => `${Object.keys(MessageType)[type]}->${to}@${term}`).sort();
}

function ofType(sent: readonly Message[], type: MessageType): Message[] {
  return sent.filter((one) => one.type === type);
}

describe('Raft, section 5.1: terms', () => {
  it.each(['follower', 'candidate', 'leader'] as const)(
    'a %s that sees a higher term becomes a follower in it',
    (role) => {
      const member = inRole(role);
      member.receive(MessageType.MsgApp, { from: 2n, term: 2n });
      expect(member.node.basicStatus()).toMatchObject({ role: 'follower', term: 2n, lead: 2n });
    },
  );

  it('a request with an older term changes nothing', () => {
    const member = newMember({ term: 2n });
    expect(member.receive(MessageType.MsgApp, { from: 2n, term: 1n, entries: entriesOfTerms([1]) })).toEqual([]);
    expect(member.node.basicStatus()).toMatchObject({ term: 2n, lead: NONE });
    expect(member.terms()).toEqual([]);
  });
});

describe('Raft, section 5.2: leader election', () => {
  it('a server starts as a follower', () => {
    expect(newMember().node.basicStatus()).toMatchObject({ role: 'follower', lead: NONE });
  });

  it('a leader sends heartbeats to all others every heartbeat timeout', () => {
    expect(summary(inRole('leader').tick(1))).toEqual(['MsgHeartbeat->2@1', 'MsgHeartbeat->3@1']);
  });

  it('a follower that hears nothing for an election timeout votes for itself in a new term and asks the others', () => {
    const member = inRole('follower');
    const sent = member.tick(2 * ELECTION_TICKS - 1);
    expect(summary(sent)).toEqual(['MsgVote->2@2', 'MsgVote->3@2']);
    expect(member.node.basicStatus()).toMatchObject({ role: 'candidate', term: 2n, vote: 1n });
  });

  it('a candidate that is not elected starts a new election', () => {
    const member = inRole('candidate');
    expect(summary(member.tick(2 * ELECTION_TICKS - 1))).toEqual(['MsgVote->2@2', 'MsgVote->3@2']);
    expect(member.node.basicStatus()).toMatchObject({ role: 'candidate', term: 2n });
  });

  it.each([
    { size: 1, grant: [], reject: [], role: 'leader' },
    { size: 3, grant: [2n, 3n], reject: [], role: 'leader' },
    { size: 3, grant: [2n], reject: [], role: 'leader' },
    { size: 5, grant: [2n, 3n, 4n, 5n], reject: [], role: 'leader' },
    { size: 5, grant: [2n, 3n], reject: [], role: 'leader' },
    { size: 3, grant: [], reject: [2n, 3n], role: 'follower' },
    { size: 5, grant: [2n], reject: [3n, 4n, 5n], role: 'follower' },
    { size: 3, grant: [], reject: [], role: 'candidate' },
    { size: 5, grant: [2n], reject: [], role: 'candidate' },
    { size: 5, grant: [], reject: [2n, 3n], role: 'candidate' },
  ] as const)('of $size servers, with $grant for and $reject against it, a candidate becomes $role', (row) => {
    const voters = Array.from({ length: row.size }, (_none, at) => BigInt(at + 1));
    const member = new TestMember(1n, storageOf({ voters }));
    member.node.campaign();
    member.work();
    for (const from of row.grant) member.receive(MessageType.MsgVoteResp, { from, term: 1n });
    for (const from of row.reject) member.receive(MessageType.MsgVoteResp, { from, term: 1n, reject: true });
    expect(member.node.basicStatus()).toMatchObject({ role: row.role, term: 1n });
  });

  it.each([
    { vote: NONE, from: 1n, granted: true },
    { vote: NONE, from: 2n, granted: true },
    { vote: 1n, from: 1n, granted: true },
    { vote: 2n, from: 2n, granted: true },
    { vote: 1n, from: 2n, granted: false },
    { vote: 2n, from: 1n, granted: false },
  ])('a server votes once in a term: having voted for $vote it answers $from', ({ vote, from, granted }) => {
    const storage = storageOf({ voters: [1n, 2n, 3n], hardState: { term: 1n, vote, commit: 0n } });
    const member = new TestMember(3n, storage);
    const sent = member.receive(MessageType.MsgVote, { from, term: 1n });
    expect(sent).toMatchObject([{ type: MessageType.MsgVoteResp, to: from, term: 1n, reject: !granted }]);
  });

  it('a vote survives a restart', () => {
    const member = newMember();
    member.receive(MessageType.MsgVote, { from: 2n, term: 1n });
    member.restart();
    expect(member.receive(MessageType.MsgVote, { from: 3n, term: 1n })).toMatchObject([{ reject: true }]);
  });

  it.each([1n, 2n])('a candidate that hears a leader of term %s, at least its own, follows it', (term) => {
    const member = inRole('candidate');
    member.receive(MessageType.MsgApp, { from: 2n, term });
    expect(member.node.basicStatus()).toMatchObject({ role: 'follower', term, lead: 2n });
  });

  it('election timeouts spread over the whole of [e, 2e-1]', () => {
    const member = inRole('follower');
    const timeouts = new Set<number>();
    for (let round = 0; round < 500; round += 1) {
      let ticks = 0;
      let sent: Message[] = [];
      while (sent.length === 0) {
        sent = member.tick(1);
        ticks += 1;
      }
      timeouts.add(ticks);
    }
    expect([...timeouts].sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_none, at) => at + ELECTION_TICKS));
  });

  it('a few servers rarely time out in the same tick', () => {
    const members = Array.from({ length: 5 }, (_none, at) => {
      return new TestMember(1n, storageOf({ voters: [1n, 2n, 3n, 4n, 5n] }), {}, at + 77);
    });
    let conflicts = 0;
    for (let round = 0; round < 300; round += 1) {
      let expired = 0;
      while (expired === 0) expired = members.filter((member) => member.tick(1).length > 0).length;
      if (expired > 1) conflicts += 1;
      for (const member of members) member.receive(MessageType.MsgHeartbeat, { from: 2n, term: BigInt(round + 100) });
    }
    // With 5 servers and 10 equally likely ticks the first one is alone in two of three rounds.
    expect(conflicts / 300).toBeLessThan(0.45);
  });
});

describe('Raft, section 5.3: log replication', () => {
  function leaderWithCommitted(): TestMember {
    const member = newMember();
    member.lead([2n]);
    for (const from of [2n, 3n]) member.receive(MessageType.MsgAppResp, { from, term: 1n, index: 1n });
    return member;
  }

  it('a leader appends a proposal and sends it to all, with the entry before it', () => {
    const member = leaderWithCommitted();
    member.node.propose(bytes('data'));
    const sent = member.work();
    expect(sent).toHaveLength(2);
    for (const one of sent) {
      expect(one).toMatchObject({ type: MessageType.MsgApp, index: 1n, logTerm: 1n, commit: 1n });
      expect(one.entries).toMatchObject([{ Index: 2n, Term: 1n, Data: bytes('data') }]);
    }
    expect(member.terms()).toEqual(['1:1', '2:1']);
  });

  it('an entry that a majority has is committed, applied, and told to the followers', () => {
    const member = leaderWithCommitted();
    member.node.propose(bytes('data'));
    member.work();
    const sent = member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 2n });
    expect(member.node.basicStatus()).toMatchObject({ commit: 2n, applied: 2n });
    expect(member.applied.at(-1)).toMatchObject({ Index: 2n, Data: bytes('data') });
    expect(ofType(sent, MessageType.MsgApp).map(({ to, commit }) => [to, commit])).toEqual([
      [2n, 2n],
      [3n, 2n],
    ]);
  });

  it.each([
    { size: 3, acknowledged: [], committed: false },
    { size: 3, acknowledged: [2n], committed: true },
    { size: 5, acknowledged: [2n], committed: false },
    { size: 5, acknowledged: [2n, 3n], committed: true },
    { size: 5, acknowledged: [2n, 3n, 4n, 5n], committed: true },
  ] as const)('of $size servers, acknowledged by $acknowledged besides the leader: committed is $committed', (row) => {
    const voters = Array.from({ length: row.size }, (_none, at) => BigInt(at + 1));
    const member = new TestMember(1n, storageOf({ voters }));
    member.lead(voters.slice(1, Math.floor(row.size / 2) + 1));
    for (const from of row.acknowledged) member.receive(MessageType.MsgAppResp, { from, term: 1n, index: 1n });
    expect(member.node.basicStatus().commit).toBe(row.committed ? 1n : 0n);
  });

  it.each([[[]], [[2]], [[1, 2]], [[1]]])(
    'entries of earlier leaders (%j) are committed with one of its own',
    (terms) => {
      const member = newMember({ term: 2n, terms });
      member.lead([2n]);
      const last = BigInt(terms.length + 1);
      member.receive(MessageType.MsgAppResp, { from: 2n, term: 3n, index: last });
      expect(member.applied.map(({ Index, Term }) => `${Index}:${Term}`)).toEqual(
        [...terms, 3].map((term, at) => `${at + 1}:${term}`),
      );
    },
  );

  it('a follower applies what it learns is committed, in log order', () => {
    const member = newMember({ term: 1n });
    const entries = entriesOfTerms([1, 1, 1]);
    member.receive(MessageType.MsgApp, { from: 2n, term: 1n, entries, commit: 2n });
    expect(member.applied.map(({ Index }) => Index)).toEqual([1n, 2n]);
  });

  it.each([
    { index: 0n, logTerm: 0n, answer: { index: 1n, reject: false } },
    { index: 1n, logTerm: 1n, answer: { index: 1n, reject: false } },
    { index: 2n, logTerm: 2n, answer: { index: 2n, reject: false } },
    { index: 1n, logTerm: 2n, answer: { index: 1n, reject: true, rejectHint: 1n, logTerm: 1n } },
    { index: 2n, logTerm: 1n, answer: { index: 2n, reject: true, rejectHint: 1n, logTerm: 1n } },
    { index: 3n, logTerm: 3n, answer: { index: 3n, reject: true, rejectHint: 2n, logTerm: 2n } },
  ])('a follower with 1:1 and 2:2 answers an append behind $index of term $logTerm', ({ index, logTerm, answer }) => {
    const hardState = { term: 2n, vote: NONE, commit: index === 0n ? 1n : 0n };
    const member = new TestMember(1n, storageOf({ voters: VOTERS, entries: entriesOfTerms([1, 2]), hardState }));
    const sent = member.receive(MessageType.MsgApp, { from: 2n, term: 3n, index, logTerm });
    expect(sent).toMatchObject([{ type: MessageType.MsgAppResp, to: 2n, ...answer }]);
  });

  it.each<{ index: bigint; logTerm: bigint; entries: Entry[]; after: string[] }>([
    { index: 2n, logTerm: 2n, entries: entriesOfTerms([3], 3), after: ['1:1', '2:2', '3:3'] },
    { index: 1n, logTerm: 1n, entries: entriesOfTerms([3, 3], 2), after: ['1:1', '2:3', '3:3'] },
    { index: 0n, logTerm: 0n, entries: entriesOfTerms([1], 1), after: ['1:1', '2:2'] },
    { index: 0n, logTerm: 0n, entries: entriesOfTerms([3], 1), after: ['1:3'] },
  ])(
    'conflicting entries are deleted with all that follow, others stay: $after',
    ({ index, logTerm, entries, after }) => {
      const member = newMember({ term: 2n, terms: [1, 2] });
      member.receive(MessageType.MsgApp, { from: 2n, term: 3n, index, logTerm, entries });
      expect(member.terms()).toEqual(after);
    },
  );

  // Figure 7 of the paper.
  it.each([
    { name: 'a', terms: [1, 1, 1, 4, 4, 5, 5, 6, 6] },
    { name: 'b', terms: [1, 1, 1, 4] },
    { name: 'c', terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6] },
    { name: 'd', terms: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7] },
    { name: 'e', terms: [1, 1, 1, 4, 4, 4, 4] },
    { name: 'f', terms: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3] },
  ])('a new leader makes the log ($name) of figure 7 equal to its own', ({ terms }) => {
    const entries = entriesOfTerms([1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    const hardState = { term: 8n, vote: NONE, commit: 0n };
    const leader = new TestMember(1n, storageOf({ voters: VOTERS, entries, hardState }));
    const follower = new TestMember(
      2n,
      storageOf({ voters: VOTERS, entries: entriesOfTerms(terms), hardState: { ...hardState, term: 7n } }),
    );
    const group = new TestGroup([leader, follower]);
    group.elect(1n);
    // The follower may not grant its vote; the third server, which is not here, does.
    leader.node.step(message(MessageType.MsgVoteResp, { to: 1n, from: 3n, term: 9n }));
    group.settle();
    expect(leader.node.basicStatus().role).toBe('leader');
    expect(follower.terms()).toEqual(leader.terms());
  });
});

describe('Raft, section 5.4: safety', () => {
  it('a vote request names the last entry', () => {
    const member = newMember({ term: 2n, terms: [1, 2] });
    const sent = member.tick(2 * ELECTION_TICKS - 1);
    for (const one of sent) expect(one).toMatchObject({ type: MessageType.MsgVote, term: 3n, index: 2n, logTerm: 2n });
  });

  it.each([
    { own: [1], logTerm: 1n, index: 1n, granted: true },
    { own: [1], logTerm: 1n, index: 2n, granted: true },
    { own: [1, 1], logTerm: 1n, index: 1n, granted: false },
    { own: [1], logTerm: 2n, index: 1n, granted: true },
    { own: [1, 1], logTerm: 2n, index: 1n, granted: true },
    { own: [2], logTerm: 1n, index: 1n, granted: false },
    { own: [2], logTerm: 1n, index: 2n, granted: false },
  ])('5.4.1: with $own a server grants a candidate that ends at $index of term $logTerm: $granted', (row) => {
    const member = newMember({ terms: row.own });
    const sent = member.receive(MessageType.MsgVote, { from: 2n, term: 3n, logTerm: row.logTerm, index: row.index });
    expect(sent).toMatchObject([{ type: MessageType.MsgVoteResp, reject: !row.granted }]);
  });

  it.each([
    { index: 1n, committed: 0n },
    { index: 2n, committed: 0n },
    { index: 3n, committed: 3n },
  ])('5.4.2: a leader counts replicas only of its own term: up to $index acknowledged commits $committed', (row) => {
    const member = newMember({ term: 2n, terms: [1, 2] });
    member.lead([2n]);
    member.receive(MessageType.MsgAppResp, { from: 2n, term: 3n, index: row.index });
    expect(member.node.basicStatus().commit).toBe(row.committed);
  });
});

describe('Raft, section 6: membership changes', () => {
  const voters = [1n, 2n, 3n];

  it('a leader that is not part of the new configuration stops counting itself', () => {
    const group = groupOf(3);
    const leader = group.elect(1n);
    leader.node.proposeConfChange({ type: 1, nodeId: 1n, id: 0n, context: bytes('') });
    group.settle();
    expect([...leader.node.status().configuration.voters.incoming]).toEqual([2n, 3n]);
    expect(leader.node.propose(bytes('x'))).toBe('proposalDropped');
  });

  it('a server that is behind is brought up to date as a learner without counting for the quorum', () => {
    const group = groupOf(1);
    const leader = group.elect(1n);
    leader.node.proposeConfChange({ type: 3, nodeId: 4n, id: 0n, context: bytes('') });
    group.settle();
    leader.node.propose(bytes('x'));
    group.settle();
    expect(leader.node.basicStatus().commit).toBe(3n);
    expect(leader.node.status().progress.get(4n)).toMatchObject({ isLearner: true, match: 0n });
  });

  it('in a joint configuration both majorities are needed', () => {
    const storage = storageOf({ voters });
    const state = { voters, learners: [], votersOutgoing: [3n, 4n, 5n], learnersNext: [], autoLeave: false };
    storage.applySnapshot({ data: bytes(''), metadata: { index: 1n, term: 1n, confState: state } });
    const member = new TestMember(1n, storage);
    member.node.campaign();
    member.work();
    member.receive(MessageType.MsgVoteResp, { from: 2n, term: 1n });
    member.receive(MessageType.MsgVoteResp, { from: 4n, term: 1n });
    expect(member.node.basicStatus().role).toBe('candidate');
    member.receive(MessageType.MsgVoteResp, { from: 5n, term: 1n });
    expect(member.node.basicStatus().role).toBe('leader');
  });

  it('a removed server cannot disturb the others while they hear their leader', () => {
    const group = groupOf(3, { checkQuorum: true });
    for (const member of group.members.values()) member.tick(ELECTION_TICKS);
    group.elect(1n);
    group.isLost = ({ to }) => to === 3n;
    group.member(3n).node.campaign();
    group.settle();
    expect(group.member(1n).node.basicStatus()).toMatchObject({ role: 'leader' });
    expect(group.member(2n).node.basicStatus()).toMatchObject({ lead: 1n });
  });
});

describe('Raft, section 7: log compaction', () => {
  function leaderWithoutLog(): TestMember {
    const storage = storageOf({ voters: [1n, 2n] });
    const confState = { voters: [1n, 2n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    storage.applySnapshot({ data: bytes('state'), metadata: { index: 11n, term: 11n, confState } });
    const member = new TestMember(1n, storage);
    member.lead([2n]);
    return member;
  }

  function rejected(member: TestMember): Message[] {
    return member.receive(MessageType.MsgAppResp, { from: 2n, term: 1n, index: 11n, reject: true, rejectHint: 0n });
  }

  it('a leader sends a snapshot to a follower whose next entry is gone, and waits', () => {
    const member = leaderWithoutLog();
    const sent = rejected(member);
    expect(sent).toMatchObject([{ type: MessageType.MsgSnap, snapshot: { data: bytes('state') } }]);
    expect(member.node.status().progress.get(2n)).toMatchObject({ state: 'snapshot', pendingSnapshot: 11n });
    member.node.propose(bytes('x'));
    expect(member.work()).toEqual([]);
  });

  it('a snapshot that arrived is gone on from', () => {
    const member = leaderWithoutLog();
    rejected(member);
    member.node.reportSnapshot(2n, 'finish');
    const progress = member.node.status().progress.get(2n);
    expect(progress).toMatchObject({ state: 'probe', next: 12n, isFlowPaused: true });
  });

  it('a snapshot that did not arrive is sent again', () => {
    const member = leaderWithoutLog();
    rejected(member);
    member.node.reportSnapshot(2n, 'failure');
    expect(member.node.status().progress.get(2n)).toMatchObject({ state: 'probe', next: 1n, isFlowPaused: true });
    const sent = member.receive(MessageType.MsgHeartbeatResp, { from: 2n, term: 1n });
    expect(sent).toMatchObject([{ type: MessageType.MsgSnap }]);
  });

  it('a follower replaces its log by the snapshot and acknowledges its index', () => {
    const member = newMember({ terms: [1, 1] });
    const confState = { voters: VOTERS, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const snapshot = { data: bytes('state'), metadata: { index: 11n, term: 3n, confState } };
    const sent = member.receive(MessageType.MsgSnap, { from: 2n, term: 4n, snapshot });
    expect(sent).toMatchObject([{ type: MessageType.MsgAppResp, index: 11n, term: 4n }]);
    expect(member.storage.firstIndex()).toBe(12n);
    expect(member.node.basicStatus()).toMatchObject({ commit: 11n, applied: 11n });
  });

  it('a follower that has the entries keeps them and only learns that they are committed', () => {
    const member = newMember({ terms: [1, 1, 1] });
    const confState = { voters: VOTERS, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    const snapshot = { data: bytes('state'), metadata: { index: 2n, term: 1n, confState } };
    const sent = member.receive(MessageType.MsgSnap, { from: 2n, term: 4n, snapshot });
    expect(sent).toMatchObject([{ type: MessageType.MsgAppResp, index: 2n }]);
    expect(member.terms()).toEqual(['1:1', '2:1', '3:1']);
    expect(member.node.basicStatus().commit).toBe(2n);
  });
});
