import { describe, expect, it } from 'vitest';
import { describeDifference } from './diff.js';
import { parseDialogue } from './parse.js';
import { replayDialogue } from './replay.js';

describe('a dialogue', () => {
  it('is read with comments, arguments of all forms, input and answers with empty lines', () => {
    const text = [
      '# A comment.',
      'add-nodes 3 voters=(1, 2,3) index=2 \\',
      '  learners=()',
      'first',
      'second',
      '----',
      '----',
      'one',
      '',
      'two',
      '----',
      '----',
      '',
      'status 1',
      '----',
      '',
    ].join('\n');
    expect(parseDialogue(text)).toEqual([
      {
        line: 2,
        command: 'add-nodes',
        arguments: [
          { key: '3', values: [] },
          { key: 'voters', values: ['1', '2', '3'] },
          { key: 'index', values: ['2'] },
          { key: 'learners', values: [] },
        ],
        input: 'first\nsecond',
        expected: 'one\n\ntwo\n',
      },
      { line: 14, command: 'status', arguments: [{ key: '1', values: [] }], input: '', expected: '' },
    ]);
  });

  it.each(['status 1\n', 'status (1\n----\n'])('that cannot be read is refused: %j', (text) => {
    expect(() => parseDialogue(text)).toThrow('line 1:');
  });

  it('is replayed, and every answer that differs is shown line by line', () => {
    const differences = replayDialogue('simple\nv1\n----\nvoters=(2)\n1: StateProbe match=0 next=1\n');
    expect(differences.map(describeDifference)).toEqual([
      '@@ line 1: simple\n-voters=(2)\n+voters=(1)\n 1: StateProbe match=0 next=1\n',
    ]);
  });

  it('ends where a member breaks an invariant or a command makes no sense', () => {
    const text = 'campaign 7\n----\nok\n\nraft-state\n----\nnever\n';
    expect(replayDialogue(text)).toEqual([
      { line: 1, command: 'campaign', expected: 'ok\n', actual: 'fatal: there is no member 7\n' },
    ]);
  });

  it.each([
    ['no-such-thing 1\n----\nunknown command\n'],
    ['add-nodes 1 voters=(1) index=1\n----\nindex must be specified as > 1 due to bootstrap\n'],
    ['add-nodes 1 read-only=no\n----\ninvalid read-only option "no"\n'],
    ['log-level loud\n----\nlog levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]\n'],
    ['vote cfg=(1,2) votes=(y)\n----\nerror: mismatched input (explicit or _) for voters map[1:{} 2:{}]: [2]\n'],
    ['committed idx=()\n----\n<empty majority quorum>∞\n'],
    ['simple\nx1\n----\nunknown input: x1\n'],
    ['leave-joint\nv1\n----\nthis command takes no input\n'],
  ])('answers what is wrong with a command: %j', (text) => {
    expect(replayDialogue(text)).toEqual([]);
  });
});
