import { fit, oneLine } from '../render/text.js';
import type { Terminal } from '../terminal.js';
import type { Progress } from './progress.js';

/** Shows progress on standard error: a block that is drawn anew on a terminal, else a line for every change. */
export class ProgressView {
  readonly #terminal: Terminal;
  #drawnLines = 0;
  #shown = '';

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Shows the present state, where it differs from what is shown. */
  async show(progress: Progress): Promise<void> {
    const lines = linesOf(progress);
    const text = lines.join('\n');
    if (text === this.#shown) return;
    this.#shown = text;
    const width = this.#terminal.errorColumns;
    await this.#terminal.writeError(width === undefined ? `${lines.join('; ')}\n` : this.#redrawn(lines, width));
  }

  /** Lines cut to the terminal's width, so that each of them takes one row and can be found again. */
  #redrawn(lines: readonly string[], width: number): string {
    const back = this.#drawnLines === 0 ? '' : `\u001b[${this.#drawnLines}A\u001b[J`;
    this.#drawnLines = lines.length;
    // The last column stays free: some terminals wrap as soon as it is written.
    return back + lines.map((line, at) => `${fit(at === 0 ? line : `  ${line}`, width - 1)}\n`).join('');
  }
}

function linesOf({ name, headline, reasons }: Progress): readonly string[] {
  return [`${name}: ${headline}`, ...reasons].map(oneLine);
}
