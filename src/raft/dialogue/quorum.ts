import { majorityCommitted, majorityVote, COMMITTED_BY_NOBODY } from '../quorum/majority.js';
import { jointCommitted, jointIds, jointVote } from '../quorum/joint.js';
import type { VoteResult } from '../quorum/vote-result.js';
import { compareIndexes, sortedIds, type RaftId } from '../types.js';
import { hex } from '../describe/names.js';
import { bigValues, valuesOf } from './arguments.js';
import type { Directive } from './parse.js';

const RESULT_NAME: Readonly<Record<VoteResult, string>> = {
  pending: 'VotePending',
  lost: 'VoteLost',
  won: 'VoteWon',
};

const NO_VOTERS: ReadonlySet<RaftId> = new Set();

/** Answers `committed` and `vote`, each with checks that must not change the result. */
export function answerQuorum(directive: Directive): string {
  const isJoint = directive.arguments.some(({ key }) => key === 'cfgj');
  const ids = bigValues(directive, 'cfg');
  const jointValues = valuesOf(directive, 'cfgj');
  const outgoingIds = jointValues.length === 1 && jointValues[0] === 'zero' ? [] : bigValues(directive, 'cfgj');
  const incoming = new Set(ids);
  const outgoing = new Set(outgoingIds);
  const given = valuesOf(directive, directive.command === 'vote' ? 'votes' : 'idx');
  const voters = [...new Set([...ids, ...outgoingIds])];
  if (voters.length !== given.length) {
    const names = sortedIds(voters).map((id) => `${id}:{}`);
    return `error: mismatched input (explicit or _) for voters map[${names.join(' ')}]: [${given.map(asNumber).join(' ')}]`;
  }
  const values = new Map(voters.flatMap((id, at) => (given[at] === '_' ? [] : [[id, given[at] ?? ''] as const])));
  if (directive.command === 'vote') return answerVote({ incoming, outgoing }, isJoint, values, directive.line);
  return answerCommitted({ incoming, outgoing }, isJoint, values, directive.line);
}

/** Votes and missing values as etcd/raft numbers them. */
function asNumber(value: string): string {
  return { y: '2', n: '1', _: '0' }[value] ?? value;
}

interface Halves {
  readonly incoming: ReadonlySet<RaftId>;
  readonly outgoing: ReadonlySet<RaftId>;
}

function swapped({ incoming, outgoing }: Halves): Halves {
  return { incoming: outgoing, outgoing: incoming };
}

function answerVote(halves: Halves, isJoint: boolean, given: ReadonlyMap<RaftId, string>, line: number): string {
  const votes = new Map([...given].map(([id, vote]) => [id, isYes(vote, line)]));
  if (!isJoint) return `${RESULT_NAME[majorityVote(halves.incoming, votes)]}\n`;
  const result = jointVote(halves, votes);
  const mirrored = jointVote(swapped(halves), votes);
  const remark = mirrored === result ? '' : `${RESULT_NAME[mirrored]} <-- via symmetry\n`;
  return `${remark}${RESULT_NAME[result]}\n`;
}

function isYes(vote: string, line: number): boolean {
  if (vote !== 'y' && vote !== 'n') throw new Error(`line ${line}: unknown vote: ${vote}`);
  return vote === 'y';
}

function answerCommitted(halves: Halves, isJoint: boolean, given: ReadonlyMap<RaftId, string>, line: number): string {
  const acked = new Map([...given].map(([id, index]) => [id, position(index, line)]));
  const lookUp = (id: RaftId): bigint | undefined => acked.get(id);
  const bars = describeAcked(jointIds(halves), acked);
  if (isJoint) {
    const index = jointCommitted(halves, lookUp);
    const mirrored = jointCommitted(swapped(halves), lookUp);
    return `${bars}${remark(mirrored, index, 'via symmetry')}${printed(index)}\n`;
  }
  const { incoming } = halves;
  const index = majorityCommitted(incoming, lookUp);
  return [
    bars,
    remark(alternative(incoming, acked), index, 'via alternative computation'),
    remark(jointCommitted({ incoming, outgoing: NO_VOTERS }, lookUp), index, 'via zero-joint quorum'),
    remark(jointCommitted({ incoming, outgoing: incoming }, lookUp), index, 'via self-joint quorum'),
    ...[...incoming].map((id) => overlaid(incoming, acked, id, index)),
    `${printed(index)}\n`,
  ].join('');
}

function position(text: string, line: number): bigint {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`line ${line}: cannot use ${text} as idx`);
  return BigInt(text);
}

function remark(other: bigint, index: bigint, how: string): string {
  return other === index ? '' : `${printed(other)} <-- ${how}\n`;
}

/** A member that is behind what is committed may be further behind without changing that. */
function overlaid(ids: ReadonlySet<RaftId>, acked: ReadonlyMap<RaftId, bigint>, id: RaftId, index: bigint): string {
  const own = acked.get(id) ?? 0n;
  if (own === 0n || index <= own) return '';
  const with_ = (value: bigint): bigint => majorityCommitted(ids, (one) => (one === id ? value : acked.get(one)));
  const lower = with_(own - 1n);
  const zero = with_(0n);
  return [
    lower === index ? '' : `${printed(lower)} <-- overlaying ${id}->${own}`,
    zero === index ? '' : `${printed(zero)} <-- overlaying ${id}->0`,
  ].join('');
}

/** The greatest acknowledged position that enough members have reached. */
function alternative(ids: ReadonlySet<RaftId>, acked: ReadonlyMap<RaftId, bigint>): bigint {
  if (ids.size === 0) return COMMITTED_BY_NOBODY;
  const positions = [...ids].map((id) => acked.get(id) ?? 0n);
  const reached = (index: bigint): number => positions.filter((one) => one >= index).length;
  const enough = positions.filter((index) => reached(index) * 2 > ids.size);
  return enough.sort(compareIndexes).at(-1) ?? 0n;
}

function printed(index: bigint): string {
  return index === COMMITTED_BY_NOBODY ? '∞' : String(index);
}

/** One line per member, with a bar that is the longer the further it has come. */
function describeAcked(ids: ReadonlySet<RaftId>, acked: ReadonlyMap<RaftId, bigint>): string {
  if (ids.size === 0) return '<empty majority quorum>';
  const index = (id: RaftId): bigint => acked.get(id) ?? 0n;
  const lines = sortedIds(ids).map((id) => {
    const bar = [...ids].filter((other) => index(other) < index(id)).length;
    const mark = acked.has(id) ? `${'x'.repeat(bar)}>${' '.repeat(ids.size - bar)}` : `?${' '.repeat(ids.size)}`;
    return `${mark} ${String(index(id)).padStart(5)}    (id=${hex(id)})\n`;
  });
  return `${' '.repeat(ids.size)}    idx\n${lines.join('')}`;
}
