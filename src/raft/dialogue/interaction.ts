import { parseChanges } from '../describe/conf-change.js';
import { messageTypeOf } from '../describe/names.js';
import { goQuote } from '../describe/go-quote.js';
import type { RaftOptions } from '../options.js';
import type { AnyConfChange } from '../conf-change.js';
import { ConfChangeTransition, NO_BYTES, type RaftId, type Snapshot } from '../types.js';
import { bigValues, firstNumber, flagOf, memberNumbers, valueOf, valuesOf, wholeNumber, wordAt } from './arguments.js';
import { DialogueGroup, refusalText, type Recipient } from './group.js';
import type { Directive } from './parse.js';

const ELECTION_TICKS = 3;
const HEARTBEAT_TICKS = 1;
const INFLIGHT_MESSAGES_MAX = 2 ** 31 - 1;

/** Commands that always can be done. */
const ACTIONS: Readonly<Record<string, (group: DialogueGroup, directive: Directive) => void>> = {
  /** A place for a debugger to stop. */
  _breakpoint: () => undefined,
  campaign: (group, directive) => group.member(firstNumber(directive)).node.campaign(),
  'deliver-msgs': deliverMessages,
  'forget-leader': (group, directive) => group.member(firstNumber(directive)).node.forgetLeader(),
  'raft-log': (group, directive) => group.writeLog(firstNumber(directive)),
  'raft-state': (group) => group.writeStates(),
  'send-snapshot': (group, directive) => {
    const [from = 0, to = 0] = memberNumbers(directive);
    group.sendSnapshot(from, to);
  },
  'set-randomized-election-timeout': (group, directive) => {
    const ticks = wholeNumber(valueOf(directive, 'timeout') ?? '', directive.line);
    group.member(firstNumber(directive)).node.setRandomizedElectionTicks(ticks);
  },
  status: (group, directive) => group.writeStatus(firstNumber(directive)),
  'tick-election': (group, directive) => tick(group, directive, ELECTION_TICKS),
  'tick-heartbeat': (group, directive) => tick(group, directive, HEARTBEAT_TICKS),
  'transfer-leadership': (group, directive) => {
    const [from = 0n] = bigValues(directive, 'from');
    const [to = 0n] = bigValues(directive, 'to');
    group.member(Number(from)).node.transferLeader(group.member(Number(to)).options.id);
  },
};

/** Commands that return why they could not be done. */
const HANDLERS: Readonly<Record<string, (group: DialogueGroup, directive: Directive) => string | undefined>> = {
  'add-nodes': addNodes,
  compact,
  'log-level': (group, directive) => group.output.setLevel(wordAt(directive, 0)),
  'process-ready': (group, directive) =>
    forEach(group, directive, 'handling Ready', (number) => group.processReady(number)),
  'process-append-thread': (group, directive) =>
    forEach(group, directive, 'processing append thread', (number) => group.processAppendThread(number)),
  'process-apply-thread': (group, directive) =>
    forEach(group, directive, 'processing apply thread', (number) => group.processApplyThread(number)),
  propose: (group, directive) => {
    const data = new TextEncoder().encode(wordAt(directive, 1));
    return refusalText(group.member(firstNumber(directive)).node.propose(data));
  },
  'propose-conf-change': proposeConfChange,
  'report-unreachable': reportUnreachable,
  stabilize,
};

/** Answers the commands that drive a group of members. */
export class InteractionDialogue {
  readonly #group = new DialogueGroup();

  answer(directive: Directive): string {
    const { output } = this.#group;
    output.clear();
    const problem = this.#do(directive);
    if (problem !== undefined && output.isQuiet) return problem;
    output.write(problem ?? '');
    return output.text === '' ? 'ok' : output.text;
  }

  #do(directive: Directive): string | undefined {
    const handler = HANDLERS[directive.command];
    if (handler !== undefined) return handler(this.#group, directive);
    const action = ACTIONS[directive.command];
    if (action === undefined) return 'unknown command';
    action(this.#group, directive);
    return undefined;
  }
}

/** Whether this command drives a group of members. */
export function isInteraction({ command }: Directive): boolean {
  return Object.hasOwn(HANDLERS, command) || Object.hasOwn(ACTIONS, command);
}

function addNodes(group: DialogueGroup, directive: Directive): string | undefined {
  const readMode = valueOf(directive, 'read-only');
  if (readMode !== undefined && readMode !== 'safe' && readMode !== 'lease-based') {
    return `invalid read-only option ${goQuote(new TextEncoder().encode(readMode))}`;
  }
  const inflight = valueOf(directive, 'inflight');
  const committed = valueOf(directive, 'max-committed-size-per-ready');
  const [index = 0n] = bigValues(directive, 'index').slice(-1);
  const options: Omit<RaftOptions, 'id'> = {
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    inflightMessagesMax: inflight === undefined ? INFLIGHT_MESSAGES_MAX : wholeNumber(inflight, directive.line),
    applied: index,
    asyncStorageWrites: flagOf(directive, 'async-storage-writes'),
    preVote: flagOf(directive, 'prevote'),
    checkQuorum: flagOf(directive, 'checkquorum'),
    disableConfChangeValidation: flagOf(directive, 'disable-conf-change-validation'),
    readMode: readMode === 'lease-based' ? 'leaseBased' : 'safe',
    stepDownOnRemoval: flagOf(directive, 'step-down-on-removal'),
    ...(committed === undefined ? {} : { committedBytesMax: wholeNumber(committed, directive.line) }),
  };
  return group.add(firstNumber(directive), options, startSnapshot(directive, index));
}

function startSnapshot(directive: Directive, index: bigint): Snapshot {
  const confState = {
    voters: bigValues(directive, 'voters'),
    learners: bigValues(directive, 'learners'),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  const data = new TextEncoder().encode(valueOf(directive, 'content') ?? '');
  return { data, metadata: { index, term: 0n, confState } };
}

function compact(group: DialogueGroup, directive: Directive): string | undefined {
  const number = firstNumber(directive);
  const problem = group.member(number).compact(BigInt(wholeNumber(wordAt(directive, 1), directive.line)));
  if (problem === undefined) group.writeLog(number);
  return problem;
}

function reportUnreachable(group: DialogueGroup, directive: Directive): string | undefined {
  const numbers = memberNumbers(directive);
  const [reporter, reported] = numbers;
  if (reporter === undefined || reported === undefined || numbers.length !== 2) {
    return 'must specify exactly two node indexes: node on which to report, and reported node';
  }
  group.member(reporter).node.reportUnreachable(group.member(reported).options.id);
  return undefined;
}

function deliverMessages(group: DialogueGroup, directive: Directive): void {
  const name = valueOf(directive, 'type');
  const type = name === undefined ? undefined : messageTypeOf(name);
  if (name !== undefined && type === undefined) throw new Error(`line ${directive.line}: unknown message type ${name}`);
  if (group.deliver(type, recipients(directive)) === 0) group.output.write('no messages\n');
}

/** In the order in which they are named. */
function recipients(directive: Directive): Recipient[] {
  const all = directive.arguments.flatMap(({ key, values }): Recipient[] => {
    if (values.length === 0) return [{ id: BigInt(wholeNumber(key, directive.line)), drop: false }];
    if (key !== 'drop') return [];
    return values.map((value) => ({ id: BigInt(wholeNumber(value, directive.line)), drop: true }));
  });
  const dropped = new Set(all.filter(({ drop }) => drop).map(({ id }): RaftId => id));
  const both = all.find(({ id, drop }) => !drop && dropped.has(id));
  if (both !== undefined) throw new Error(`line ${directive.line}: can't both deliver and drop msgs to ${both.id}`);
  return all;
}

/** With several members each one's output stands under a heading. */
function forEach(
  group: DialogueGroup,
  directive: Directive,
  what: string,
  work: (number: number) => string | undefined,
): string | undefined {
  const numbers = memberNumbers(directive);
  for (const number of numbers) {
    const isAlone = numbers.length === 1;
    if (!isAlone) group.output.write(`> ${number} ${what}\n`);
    const problem = isAlone ? work(number) : group.output.indented(() => work(number));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function stabilize(group: DialogueGroup, directive: Directive): string | undefined {
  const before = group.output.level;
  const level = valuesOf(directive, 'log-level').at(-1);
  const problem = level === undefined ? undefined : group.output.setLevel(level);
  if (problem !== undefined) return problem;
  try {
    return group.stabilize(memberNumbers(directive));
  } finally {
    group.output.setLevel(before);
  }
}

function tick(group: DialogueGroup, directive: Directive, ticks: number): void {
  const { node } = group.member(firstNumber(directive));
  for (let count = 0; count < ticks; count += 1) node.tick();
}

const TRANSITIONS: Readonly<Record<string, ConfChangeTransition>> = {
  auto: ConfChangeTransition.ConfChangeTransitionAuto,
  implicit: ConfChangeTransition.ConfChangeTransitionJointImplicit,
  explicit: ConfChangeTransition.ConfChangeTransitionJointExplicit,
};

function proposeConfChange(group: DialogueGroup, directive: Directive): string | undefined {
  const unknown = directive.arguments.find(
    ({ key, values }) => values.length > 0 && !['v1', 'transition'].includes(key),
  );
  if (unknown !== undefined) return `unknown command ${unknown.key}`;
  const name = valueOf(directive, 'transition') ?? 'auto';
  const transition = TRANSITIONS[name];
  if (transition === undefined) return `unknown transition ${name}`;
  const changes = parseChanges(directive.input);
  if ('problem' in changes) return changes.problem;
  let change: AnyConfChange = { transition, changes, context: NO_BYTES };
  if (flagOf(directive, 'v1')) {
    const [single] = changes;
    if (single === undefined || changes.length > 1 || name !== 'auto') {
      return 'v1 conf change can only have one operation and no transition';
    }
    change = { ...single, id: 0n, context: NO_BYTES };
  }
  return refusalText(group.member(firstNumber(directive)).node.proposeConfChange(change));
}
