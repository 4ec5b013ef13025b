import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeDifference } from './dialogue/diff.js';
import { replayDialogue } from './dialogue/replay.js';

const SHARED = fileURLToPath(new URL('../../../shared/conformance/raft', import.meta.url));
const OWN = fileURLToPath(new URL('../../testdata/raft', import.meta.url));

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.txt'))
    .map((name) => `${directory}/${name}`)
    .sort();
}

function replay(file: string): string {
  return replayDialogue(readFileSync(file, 'utf8')).map(describeDifference).join('');
}

describe('dialogues of our own', () => {
  it.each(filesIn(OWN).map((file) => [basename(file), file] as const))('%s', (_name, file) => {
    expect(replay(file)).toBe('');
  });
});

describe('dialogues of etcd/raft', () => {
  if (!existsSync(SHARED)) {
    it.skip('are not here: ../shared/conformance/raft is missing', () => undefined);
    return;
  }
  it.each(filesIn(SHARED).map((file) => [file.slice(SHARED.length + 1), file] as const))('%s', (_name, file) => {
    expect(replay(file)).toBe('');
  });
});
