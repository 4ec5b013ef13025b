import { badValue } from '../usage-error.js';

/** Lines `NAME=value` of a file; empty lines and those that begin with `#` do not count. */
export function parseEnvironmentFile(flag: string, content: Uint8Array): readonly string[] {
  const lines = new TextDecoder().decode(content).split(/\r?\n/);
  return lines
    .filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'))
    .map((line) => {
      if (!/^[^\s=]+=/.test(line)) throw badValue(flag, line, 'every line of the file must be NAME=value');
      return line;
    });
}
