import type { LogMessage } from '../../api/index.js';
import { Code, isSwarmError } from '../../base/index.js';
import { nodeNames } from './names.js';
import type { Session } from './session.js';

/** Sources whose names are remembered; beyond, all are asked for anew. */
const REMEMBERED_MAX = 10_000;

/** Says where each line of a log comes from. */
export class LogLines {
  readonly #session: Session;
  readonly #prefixes = new Map<string, Promise<string>>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** `task@node❯ `, by names unless ids were asked for. */
  prefixOf({ context }: LogMessage): Promise<string> {
    const taskId = context?.taskId ?? '';
    const nodeId = context?.nodeId ?? '';
    const key = `${taskId}@${nodeId}`;
    const known = this.#prefixes.get(key);
    if (known !== undefined) return known;
    if (this.#prefixes.size >= REMEMBERED_MAX) this.#prefixes.clear();
    const asked = this.#ask(taskId, nodeId);
    this.#prefixes.set(key, asked);
    return asked;
  }

  async #ask(taskId: string, nodeId: string): Promise<string> {
    const [task, nodes] = await Promise.all([this.#taskName(taskId), nodeNames(this.#session, [nodeId])]);
    return `${task}@${nodes.get(nodeId) ?? nodeId}❯ `;
  }

  /** `service.slot`; the task may be gone while its log is still there. */
  async #taskName(taskId: string): Promise<string> {
    const { control, call, flags } = this.#session;
    if (!flags.resolve || taskId === '') return taskId;
    try {
      const { task } = await control.getTask({ taskId }, call);
      const service = task?.serviceAnnotations?.name ?? '';
      if (task === undefined || service === '') return taskId;
      return `${service}.${task.slot === 0n ? taskId : task.slot}`;
    } catch (error) {
      if (isSwarmError(error, Code.NOT_FOUND)) return taskId;
      throw error;
    }
  }
}
