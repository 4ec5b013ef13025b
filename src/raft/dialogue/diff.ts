import type { Difference } from './replay.js';

/** Two answers line by line: what they share unmarked, what is missing by `-`, what is too much by `+`. */
export function describeDifference({ line, command, expected, actual }: Difference): string {
  const lines = diffLines(expected.split('\n').slice(0, -1), actual.split('\n').slice(0, -1));
  return [`@@ line ${line}: ${command}`, ...lines, ''].join('\n');
}

function diffLines(expected: readonly string[], actual: readonly string[]): string[] {
  const shared = longestShared(expected, actual);
  const lines: string[] = [];
  let at = 0;
  let other = 0;
  while (at < expected.length || other < actual.length) {
    const left = expected[at];
    const right = actual[other];
    if (left !== undefined && left === right) {
      lines.push(` ${left}`);
      at += 1;
      other += 1;
    } else if (
      right === undefined ||
      (left !== undefined && lengthAt(shared, at + 1, other) >= lengthAt(shared, at, other + 1))
    ) {
      lines.push(`-${left}`);
      at += 1;
    } else {
      lines.push(`+${right}`);
      other += 1;
    }
  }
  return lines;
}

function lengthAt(table: readonly (readonly number[])[], at: number, other: number): number {
  return table[at]?.[other] ?? 0;
}

/** How many lines the rest of both share in order, for every pair of beginnings. */
function longestShared(expected: readonly string[], actual: readonly string[]): number[][] {
  const table = Array.from({ length: expected.length + 1 }, () => Array.from({ length: actual.length + 1 }, () => 0));
  for (let at = expected.length - 1; at >= 0; at -= 1) {
    const row = table[at];
    if (row === undefined) continue;
    for (let other = actual.length - 1; other >= 0; other -= 1) {
      const isShared = expected[at] === actual[other];
      row[other] = isShared
        ? lengthAt(table, at + 1, other + 1) + 1
        : Math.max(lengthAt(table, at + 1, other), lengthAt(table, at, other + 1));
    }
  }
  return table;
}
