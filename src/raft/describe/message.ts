import { confChangeOf, asV2 } from '../conf-change.js';
import {
  EntryType,
  isEmptyHardState,
  type Entry,
  type HardState,
  type Message,
  type ReadState,
  type Snapshot,
} from '../types.js';
import type { Ready } from '../ready.js';
import { describeChanges } from './conf-change.js';
import { describeConfState } from './configuration.js';
import { goQuote } from './go-quote.js';
import { entryTypeName, messageTypeName, ROLE_NAME, targetName } from './names.js';

/** An entry in one line. */
export function describeEntry(entry: Entry): string {
  const content = describeContent(entry);
  return `${entry.Term}/${entry.Index} ${entryTypeName(entry.Type)}${content === '' ? '' : ` ${content}`}`;
}

function describeContent(entry: Entry): string {
  if (entry.Type === EntryType.EntryNormal) return goQuote(entry.Data);
  const change = confChangeOf(entry);
  return change === undefined ? 'damaged' : describeChanges(asV2(change).changes);
}

/** Entries, one in a line. */
export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join('');
}

/** A message in one line, with further lines for what it carries. */
export function describeMessage(message: Message, indent = ''): string {
  const { from, to, type, term, logTerm, index, commit, vote, snapshot, responses } = message;
  return [
    `${indent}${targetName(from)}->${targetName(to)} ${messageTypeName(type)} Term:${term} Log:${logTerm}/${index}`,
    message.reject ? ` Rejected (Hint: ${message.rejectHint})` : '',
    commit === 0n ? '' : ` Commit:${commit}`,
    vote === 0n ? '' : ` Vote:${vote}`,
    describeCarried(message.entries, indent),
    isEmptySnapshot(snapshot) ? '' : `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`,
    describeResponses(responses, indent),
  ].join('');
}

function describeCarried(entries: readonly Entry[], indent: string): string {
  const [first] = entries;
  if (first === undefined) return '';
  if (entries.length === 1) return ` Entries:[${describeEntry(first)}]`;
  return ` Entries:[${entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join('')}\n${indent}]`;
}

function describeResponses(responses: readonly Message[], indent: string): string {
  if (responses.length === 0) return '';
  const lines = responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`);
  return ` Responses:[${lines.join('')}\n${indent}]`;
}

function isEmptySnapshot(snapshot: Snapshot | undefined): snapshot is undefined {
  return snapshot === undefined || snapshot.metadata.index === 0n;
}

function describeSnapshot({ metadata }: Snapshot): string {
  return `Index:${metadata.index} Term:${metadata.term} ConfState:${describeConfState(metadata.confState)}`;
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0n ? '' : ` Vote:${vote}`} Commit:${commit}`;
}

function describeReadState({ index, requestCtx }: ReadState): string {
  return `{${index} [${requestCtx.join(' ')}]}`;
}

/** What is to be done, as the dialogues print it. */
export function describeReady(ready: Ready): string {
  const { softState, hardState, readStates, entries, snapshot, committedEntries, messages } = ready;
  const text = [
    softState === undefined ? '' : `Lead:${softState.lead} State:${ROLE_NAME[softState.role]}\n`,
    hardState === undefined || isEmptyHardState(hardState) ? '' : `HardState ${describeHardState(hardState)}\n`,
    readStates.length === 0 ? '' : `ReadStates [${readStates.map(describeReadState).join(' ')}]\n`,
    entries.length === 0 ? '' : `Entries:\n${describeEntries(entries)}`,
    isEmptySnapshot(snapshot) ? '' : `Snapshot ${describeSnapshot(snapshot)}\n`,
    committedEntries.length === 0 ? '' : `CommittedEntries:\n${describeEntries(committedEntries)}`,
    messages.length === 0 ? '' : `Messages:\n${messages.map((message) => `${describeMessage(message)}\n`).join('')}`,
  ].join('');
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`;
}
