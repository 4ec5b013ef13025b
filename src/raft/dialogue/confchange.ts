import { Changer, type ChangeResult } from '../confchange/changer.js';
import { parseChanges } from '../describe/conf-change.js';
import { describeConfiguration, describeProgressMap } from '../describe/configuration.js';
import { Tracker } from '../tracker/tracker.js';
import { flagOf } from './arguments.js';
import type { Directive } from './parse.js';

const INFLIGHT_MESSAGES_MAX = 10;

/** Answers `simple`, `enter-joint` and `leave-joint`, beginning without members; the log grows with each command. */
export class ConfChangeDialogue {
  readonly #tracker = new Tracker({ messagesMax: INFLIGHT_MESSAGES_MAX, bytesMax: Number.POSITIVE_INFINITY });
  #lastIndex = -1n;

  answer(directive: Directive): string {
    this.#lastIndex += 1n;
    const changes = parseChanges(directive.input);
    if ('problem' in changes) return changes.problem;
    const changer = new Changer(this.#tracker, this.#lastIndex);
    let result: ChangeResult;
    switch (directive.command) {
      case 'simple':
        result = changer.simple(changes);
        break;
      case 'enter-joint':
        result = changer.enterJoint(flagOf(directive, 'autoleave'), changes);
        break;
      case 'leave-joint':
        result = changes.length > 0 ? { refused: 'this command takes no input' } : changer.leaveJoint();
        break;
      default:
        return 'unknown command';
    }
    if ('refused' in result) return `${result.refused}\n`;
    this.#tracker.configuration = result.configuration;
    this.#tracker.progress = result.progress;
    return `${describeConfiguration(result.configuration)}\n${describeProgressMap(result.progress)}`;
  }
}
