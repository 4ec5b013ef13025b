import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeConfChange, decodeConfChangeV2, encodeConfChange, encodeConfChangeV2 } from './conf-change-codec.js';
import { asV2, entersJoint, leavesJoint } from './conf-change.js';
import { describeConfChange, parseChanges } from './describe/conf-change.js';
import { goQuote } from './describe/go-quote.js';
import { bytes } from './group.test-helper.js';

const type = fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const);
const nodeId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const context = fc.uint8Array({ maxLength: 200 });

describe('configuration changes on the wire', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(type, nodeId, nodeId, context, (type, nodeId, id, context) => {
        const change = { id, type, nodeId, context };
        expect(decodeConfChange(encodeConfChange(change))).toEqual(change);
      }),
    );
    const changes = fc.array(fc.record({ type, nodeId }), { maxLength: 5 });
    fc.assert(
      fc.property(
        fc.constantFrom(0 as const, 1 as const, 2 as const),
        changes,
        context,
        (transition, changes, context) => {
          const change = { transition, changes, context };
          expect(decodeConfChangeV2(encodeConfChangeV2(change))).toEqual(change);
        },
      ),
    );
  });

  it('are the bytes of raftpb', () => {
    const change = { id: 0n, type: 3 as const, nodeId: 300n, context: bytes('hi') };
    expect([...encodeConfChange(change)]).toEqual([0x10, 3, 0x18, 0xac, 2, 0x22, 2, 0x68, 0x69]);
    expect([...encodeConfChangeV2({ ...asV2(change), transition: 1 })]).toEqual([
      0x08, 1, 0x12, 5, 0x08, 3, 0x10, 0xac, 2, 0x1a, 2, 0x68, 0x69,
    ]);
  });

  it('without data leave a joint configuration, and unknown fields are passed over', () => {
    expect(decodeConfChangeV2(bytes(''))).toEqual({ transition: 0, changes: [], context: bytes('') });
    expect(decodeConfChange(Uint8Array.from([0x7d, 1, 2, 3, 4, 0x10, 1]))).toMatchObject({ type: 1, nodeId: 0n });
  });

  it.each([[[0x10]], [[0x22, 5, 1]], [[0x10, 9]], [[0x0b]], [[0x00, 1]], [Array.from({ length: 12 }, () => 0xff)]])(
    'are refused when damaged: %j',
    (damaged) => {
      expect(decodeConfChange(Uint8Array.from(damaged))).toBeUndefined();
    },
  );

  it('never make the decoders fail otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (input) => {
        decodeConfChange(input);
        decodeConfChangeV2(input);
      }),
    );
  });
});

describe('a configuration change', () => {
  const one = { type: 0 as const, nodeId: 1n };
  it.each([
    { transition: 0 as const, changes: [one], joint: undefined, leaves: false },
    { transition: 0 as const, changes: [one, one], joint: { autoLeave: true }, leaves: false },
    { transition: 1 as const, changes: [one], joint: { autoLeave: true }, leaves: false },
    { transition: 2 as const, changes: [one], joint: { autoLeave: false }, leaves: false },
    { transition: 0 as const, changes: [], joint: undefined, leaves: true },
  ])(
    'with transition $transition and $changes.length changes enters $joint',
    ({ transition, changes, joint, leaves }) => {
      const change = { transition, changes, context: bytes('') };
      expect(entersJoint(change)).toEqual(joint);
      expect(leavesJoint(change)).toBe(leaves);
    },
  );

  it('is printed as in the log lines', () => {
    const change = { transition: 2 as const, changes: [one], context: bytes('a"\n\u0001é\u200b') };
    const printed = 'transition:ConfChangeTransitionJointExplicit changes:{type:ConfChangeAddNode node_id:1}';
    expect(describeConfChange(change)).toBe(`${printed} context:"a\\"\\n\\x01é\\u200b"`);
    expect(goQuote(Uint8Array.from([0xff, 0x41]))).toBe('"\\xffA"');
  });

  it('is read from the short form of the dialogues', () => {
    expect(parseChanges(' v1 l2 r3 u4 ')).toEqual([
      { type: 0, nodeId: 1n },
      { type: 3, nodeId: 2n },
      { type: 1, nodeId: 3n },
      { type: 2, nodeId: 4n },
    ]);
    expect(parseChanges('x1')).toEqual({ problem: 'unknown input: x1' });
    expect(parseChanges('v')).toEqual({ problem: 'unknown token v' });
    expect(parseChanges('vx')).toMatchObject({ problem: expect.stringContaining('invalid syntax') as string });
  });
});
