import { describeEntries, describeMessage, describeReady } from '../describe/message.js';
import { describeProgressMap } from '../describe/configuration.js';
import { ROLE_NAME } from '../describe/names.js';
import type { RaftOptions } from '../options.js';
import { jointIds } from '../quorum/joint.js';
import { REFUSAL_TEXT, type Refusal } from '../refusal.js';
import {
  EMPTY_SNAPSHOT,
  isLocalThread,
  message,
  MessageType,
  type Message,
  type RaftId,
  type Snapshot,
} from '../types.js';
import { DialogueMember } from './member.js';
import { DialogueOutput } from './output.js';

/** Whose messages are delivered or dropped. */
export interface Recipient {
  readonly id: RaftId;
  readonly drop: boolean;
}

/** Rounds until a group that never comes to rest is given up. */
const ROUNDS_MAX = 10_000;

/** The members of a group and the messages between them. A method that could not do its work returns why. */
export class DialogueGroup {
  readonly output = new DialogueOutput();
  readonly #members: DialogueMember[] = [];
  #messages: Message[] = [];

  /** The member with this number, counted from 1. */
  member(number: number): DialogueMember {
    const member = this.#members[number - 1];
    if (member === undefined) throw new Error(`there is no member ${number}`);
    return member;
  }

  /** Adds members with the next numbers as their ids. */
  add(count: number, options: Omit<RaftOptions, 'id'>, start: Snapshot): string | undefined {
    const isBootstrap = !isBlank(start);
    if (isBootstrap && start.metadata.index <= 1n) return 'index must be specified as > 1 due to bootstrap';
    const snapshot = isBootstrap ? { ...start, metadata: { ...start.metadata, term: 1n } } : EMPTY_SNAPSHOT;
    for (let added = 0; added < count; added += 1) {
      const id = BigInt(this.#members.length + 1);
      this.#members.push(new DialogueMember({ ...options, id }, snapshot, this.output));
    }
    return undefined;
  }

  /** Handles a Ready as an application does. */
  processReady(number: number): string | undefined {
    const member = this.member(number);
    const isAsync = member.options.asyncStorageWrites === true;
    const ready = member.node.ready();
    this.output.write(describeReady(ready));
    if (!isAsync) {
      const problem = member.append(ready.hardState, ready.entries, ready.snapshot);
      if (problem !== undefined) return problem;
      member.apply(ready.committedEntries);
    }
    for (const sent of ready.messages) {
      if (!isLocalThread(sent.to)) this.#messages.push(sent);
      else if (sent.type === MessageType.MsgStorageAppend) member.appendWork.push(sent);
      else member.applyWork.push(sent);
    }
    if (!isAsync) member.node.advance();
    return undefined;
  }

  /** Does one piece of work of the thread that saves. */
  processAppendThread(number: number): string | undefined {
    const member = this.member(number);
    const work = member.appendWork.shift();
    if (work === undefined) {
      this.output.write('no append work to perform');
      return undefined;
    }
    this.#writeWork(work);
    const problem = member.append(work, work.entries, work.snapshot);
    if (problem === undefined) this.#respond(work);
    return problem;
  }

  /** Does one piece of work of the thread that applies. */
  processApplyThread(number: number): string | undefined {
    const member = this.member(number);
    const work = member.applyWork.shift();
    if (work === undefined) {
      this.output.write('no apply work to perform');
      return undefined;
    }
    this.#writeWork(work);
    member.apply(work.entries);
    this.#respond(work);
    return undefined;
  }

  #writeWork(work: Message): void {
    this.output.write(`Processing:\n${describeMessage({ ...work, responses: [] })}\n`);
  }

  #respond({ responses }: Message): void {
    this.output.write(`Responses:\n${responses.map((response) => `${describeMessage(response)}\n`).join('')}`);
    this.#messages.push(...responses);
  }

  /** Delivers or drops messages, of one type or all; how many there were. */
  deliver(type: MessageType | undefined, recipients: readonly Recipient[]): number {
    let count = 0;
    for (const recipient of recipients) {
      const taken = this.#messages.filter((one) => isFor(one, type, recipient));
      this.#messages = this.#messages.filter((one) => !isFor(one, type, recipient));
      count += taken.length;
      for (const one of taken) this.#deliverOne(one, recipient.drop);
    }
    return count;
  }

  #deliverOne(one: Message, drop: boolean): void {
    this.output.write(`${drop ? 'dropped: ' : ''}${describeMessage(one)}\n`);
    if (drop) return;
    const problem = refusalText(this.member(Number(one.to)).node.step(one));
    if (problem !== undefined) this.output.write(`${problem}\n`);
  }

  /** Lets the members (all, if none is named) work until there is nothing left to do. */
  stabilize(chosen: readonly number[]): string | undefined {
    const numbers = chosen.length > 0 ? chosen : this.#members.map((_member, at) => at + 1);
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const step = this.#stabilizeOnce(numbers);
      if (step !== 'busy') return step;
    }
    throw new Error(`the group has not come to rest in ${ROUNDS_MAX} rounds`);
  }

  /** One round: 'busy' when anything was done, otherwise why the work could not go on, if it could not. */
  #stabilizeOnce(numbers: readonly number[]): string | undefined {
    let isBusy = false;
    const section = (title: string, work: () => string | undefined): string | undefined => {
      isBusy = true;
      this.output.write(`> ${title}\n`);
      return work();
    };
    const indented = (work: () => string | undefined): string | undefined => this.output.indented(work);
    for (const number of numbers) {
      if (!this.member(number).node.hasReady()) continue;
      const problem = section(`${number} handling Ready`, () => indented(() => this.processReady(number)));
      if (problem !== undefined) return problem;
    }
    for (const number of numbers) {
      const recipient = { id: BigInt(number), drop: false };
      if (!this.#messages.some((one) => isFor(one, undefined, recipient))) continue;
      section(`${number} receiving messages`, () => {
        this.output.indented(() => this.deliver(undefined, [recipient]));
        return undefined;
      });
    }
    for (const number of numbers) {
      const { appendWork } = this.member(number);
      if (appendWork.length === 0) continue;
      const one = (): string | undefined => indented(() => this.processAppendThread(number));
      const problem = section(`${number} processing append thread`, () => workOff(appendWork, one));
      if (problem !== undefined) return problem;
    }
    for (const number of numbers) {
      const { applyWork } = this.member(number);
      if (applyWork.length === 0) continue;
      const one = (): string | undefined => indented(() => this.processApplyThread(number));
      section(`${number} processing apply thread`, () => workOff(applyWork, one));
    }
    return isBusy ? 'busy' : undefined;
  }

  /** Queues a snapshot that nobody asked for. */
  sendSnapshot(from: number, to: number): void {
    const { node, storage } = this.member(from);
    const { term } = node.basicStatus();
    const snapshot = storage.snapshot();
    const sent = message(MessageType.MsgSnap, { term, from: BigInt(from), to: BigInt(to), snapshot });
    this.#messages.push(sent);
    this.output.write(describeMessage(sent));
  }

  /** Prints what is stable of a member's log. */
  writeLog(number: number): void {
    const { storage } = this.member(number);
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    const entries = last < first ? [] : storage.entries(first, last + 1n, Number.POSITIVE_INFINITY);
    if (entries.length === 0) this.output.write(`log is empty: first index=${first}, last index=${last}`);
    else if (typeof entries !== 'string') this.output.write(describeEntries(entries));
  }

  /** Prints how a member sees the others. */
  writeStatus(number: number): void {
    this.output.write(describeProgressMap(this.member(number).node.status().progress));
  }

  /** Prints what every member thinks of itself. */
  writeStates(): void {
    for (const { node } of this.#members) {
      const { id, role, configuration, term, lead } = node.status();
      const voter = jointIds(configuration.voters).has(id) ? '(Voter)' : '(Non-Voter)';
      this.output.write(`${id}: ${ROLE_NAME[role]} ${voter} Term:${term} Lead:${lead}\n`);
    }
  }
}

/** The text of a refusal, if there is one. */
export function refusalText(refusal: Refusal | undefined): string | undefined {
  return refusal === undefined ? undefined : REFUSAL_TEXT[refusal];
}

function workOff(queue: readonly unknown[], one: () => string | undefined): string | undefined {
  while (queue.length > 0) {
    const problem = one();
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Messages of a member to itself and its threads cannot get lost. */
function isFor(one: Message, type: MessageType | undefined, { id, drop }: Recipient): boolean {
  const isLocal = one.from === one.to || isLocalThread(one.from) || isLocalThread(one.to);
  return one.to === id && !(drop && isLocal) && (type === undefined || one.type === type);
}

function isBlank({ data, metadata: { index, confState } }: Snapshot): boolean {
  return data.length === 0 && index === 0n && confState.voters.length === 0 && confState.learners.length === 0;
}
