import { errorText } from '../../base/index.js';
import { ConfChangeDialogue } from './confchange.js';
import { InteractionDialogue, isInteraction } from './interaction.js';
import { parseDialogue, type Directive } from './parse.js';
import { answerQuorum } from './quorum.js';

/** An answer that is not the one that the dialogue gives. */
export interface Difference {
  readonly line: number;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

const QUORUM_COMMANDS: ReadonlySet<string> = new Set(['committed', 'vote']);
const CONF_CHANGE_COMMANDS: ReadonlySet<string> = new Set(['simple', 'enter-joint', 'leave-joint']);

/** Replays a dialogue of any kind, recognised by its commands; the answers that differ. */
export function replayDialogue(text: string): Difference[] {
  const directives = parseDialogue(text);
  const answer = answererOf(directives);
  const differences: Difference[] = [];
  for (const directive of directives) {
    const { line, command, expected } = directive;
    const { text: actual, isFatal } = answerOf(directive, answer);
    if (actual !== expected) differences.push({ line, command, expected, actual });
    if (isFatal) break;
  }
  return differences;
}

type Answerer = (directive: Directive) => string;

function answererOf(directives: readonly Directive[]): Answerer {
  const commands = directives.map(({ command }) => command);
  if (commands.some((command) => QUORUM_COMMANDS.has(command))) return answerQuorum;
  if (!directives.some(isInteraction) && commands.some((command) => CONF_CHANGE_COMMANDS.has(command))) {
    const dialogue = new ConfChangeDialogue();
    return (directive) => dialogue.answer(directive);
  }
  const dialogue = new InteractionDialogue();
  return (directive) => dialogue.answer(directive);
}

/** After a broken invariant nothing that follows means anything. */
function answerOf(directive: Directive, answer: Answerer): { readonly text: string; readonly isFatal: boolean } {
  try {
    const text = answer(directive);
    return { text: text === '' || text.endsWith('\n') ? text : `${text}\n`, isFatal: false };
  } catch (error) {
    return { text: `fatal: ${errorText(error)}\n`, isFatal: true };
  }
}
