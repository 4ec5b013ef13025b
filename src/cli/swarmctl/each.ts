import { isSwarmError } from '../../base/index.js';
import { errorLine, ReportedFailure } from './program.js';
import type { Session } from './session.js';

/**
 * Does the same for every operand, one after the other; a refusal is reported and does not keep the others
 * from their turn.
 * @throws ReportedFailure when at least one was refused.
 */
export async function forEach(
  session: Session,
  operands: readonly string[],
  act: (operand: string) => Promise<void>,
): Promise<void> {
  if (operands.length === 1) return act(operands[0] ?? '');
  let failed = false;
  for (const operand of operands) {
    try {
      await act(operand);
    } catch (error) {
      if (!isSwarmError(error) || session.signal.aborted || operands.length === 1) throw error;
      failed = true;
      await session.terminal.writeError(errorLine(error));
    }
  }
  if (failed) throw new ReportedFailure();
}
