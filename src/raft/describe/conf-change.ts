import { asV2, type AnyConfChange } from '../conf-change.js';
import { ConfChangeType, type ConfChangeSingle } from '../types.js';
import { goQuote } from './go-quote.js';
import { confChangeTypeName, transitionName } from './names.js';

const LETTER: Readonly<Record<ConfChangeType, string>> = {
  [ConfChangeType.ConfChangeAddNode]: 'v',
  [ConfChangeType.ConfChangeAddLearnerNode]: 'l',
  [ConfChangeType.ConfChangeRemoveNode]: 'r',
  [ConfChangeType.ConfChangeUpdateNode]: 'u',
};

/** The steps in the short form of the dialogues, such as `v1 l2`. */
export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map(({ type, nodeId }) => `${LETTER[type]}${nodeId}`).join(' ');
}

/** A change as the log lines print it. */
export function describeConfChange(change: AnyConfChange): string {
  const { transition, changes, context } = asV2(change);
  return [
    `transition:${transitionName(transition)}`,
    ...changes.map(({ type, nodeId }) => `changes:{type:${confChangeTypeName(type)} node_id:${nodeId}}`),
    ...(context.length > 0 ? [`context:${goQuote(context)}`] : []),
  ].join(' ');
}

/** Steps from their short form, or what is wrong with it. */
export function parseChanges(text: string): ConfChangeSingle[] | { readonly problem: string } {
  const changes: ConfChangeSingle[] = [];
  for (const token of text.trim() === '' ? [] : text.trim().split(' ')) {
    if (token.length < 2) return { problem: `unknown token ${token}` };
    const type = Object.values(ConfChangeType).find((known) => LETTER[known] === token[0]);
    if (type === undefined) return { problem: `unknown input: ${token}` };
    const digits = token.slice(1);
    if (!/^\d+$/.test(digits)) return { problem: `strconv.ParseUint: parsing "${digits}": invalid syntax` };
    changes.push({ type, nodeId: BigInt(digits) });
  }
  return changes;
}
