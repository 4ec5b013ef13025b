import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';

import { Code } from '../base/index.js';
import { nodeMatches, parseConstraints } from './constraint.js';
import { NodeRole, NodeSchema } from './messages.js';

const node = create(NodeSchema, {
  id: 'n1',
  role: NodeRole.MANAGER,
  spec: { annotations: { labels: { zone: 'East', Rack: 'r1' } } },
  status: { addr: '10.1.2.3' },
  description: {
    hostname: 'alpha',
    platform: { os: 'linux', architecture: 'x86_64' },
    engine: { labels: { storage: 'ssd' } },
  },
});

test.each([
  ['node.id==n1', true],
  ['node.id!=n1', false],
  ['node.hostname == ALPHA', true],
  ['NODE.HOSTNAME==alpha', true],
  ['node.role==manager', true],
  ['node.role!=worker', true],
  ['node.platform.os==linux', true],
  ['node.platform.arch!=x86_64', false],
  ['node.labels.zone==east', true],
  ['node.labels.Zone==east', false],
  ['node.labels.rack==r1', false],
  ['node.labels.missing!=x', true],
  ['engine.labels.storage==ssd', true],
  ['engine.labels.storage!=ssd', false],
  ['node.ip==10.1.2.3', true],
  ['node.ip==::ffff:10.1.2.3', true],
  ['node.ip!=10.1.2.3', false],
  ['node.ip==10.1.0.0/16', true],
  ['node.ip!=10.2.0.0/16', true],
  ['node.ip==banana', false],
  ['node.ip!=banana', false],
  ['node.unknown==x', false],
  ['node.unknown!=x', false],
  ['node.labels.zone==e*', false],
])('%s on the node is %s', (expression, expected) => {
  expect(nodeMatches(parseConstraints([expression]), node)).toBe(expected);
});

test('a node without description compares as empty', () => {
  const bare = create(NodeSchema, { id: 'n2' });
  expect(nodeMatches(parseConstraints(['node.hostname!=alpha']), bare)).toBe(true);
  expect(nodeMatches(parseConstraints(['node.hostname==alpha']), bare)).toBe(false);
});

test.each([
  ['node.id', 'constraint expected one operator from ==, !='],
  ['1x==a', "key '1x' is invalid"],
  ['n==a', "key 'n' is invalid"],
  ['node.id==', "value '' is invalid"],
  ['node.id==a>b', "value 'a>b' is invalid"],
])('%s is refused', (expression, message) => {
  expect(() => parseConstraints([expression])).toThrow(
    expect.objectContaining({ code: Code.INVALID_ARGUMENT, message }),
  );
});
