import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { NodeSchema, type Node } from '../api/index.js';
import { by } from './by.js';
import { HeadTable } from './head-table.js';
import { INDEXES } from './indexes.js';
import { Table } from './table.js';

function nodeOf(id: string, hostname: string): Node {
  return create(NodeSchema, { id, description: { hostname } });
}

function newTable(): HeadTable<Node> {
  return new HeadTable(new Table('node', INDEXES.node), INDEXES.node);
}

const named = (table: HeadTable<Node>, name: string): readonly string[] =>
  table.find(by.name(name)).map(({ id }) => id);

describe('HeadTable', () => {
  it('finds what was staged before and after the first search', () => {
    const table = newTable();
    table.stage('a', nodeOf('a', 'red'));
    expect(named(table, 'red')).toEqual(['a']);
    table.stage('b', nodeOf('b', 'red'));
    table.stage('a', nodeOf('a', 'blue'));
    expect(named(table, 'red')).toEqual(['b']);
    expect(named(table, 'blue')).toEqual(['a']);
  });

  it('finds neither what was removed nor what was undone', () => {
    const table = newTable();
    table.commit('a', nodeOf('a', 'red'));
    table.stage('a', undefined);
    table.stage('b', nodeOf('b', 'red'));
    expect(named(table, 'red')).toEqual(['b']);
    table.undo('b', undefined);
    expect(named(table, 'red')).toEqual([]);
    table.undo('a', nodeOf('a', 'red'));
    expect(named(table, 'red')).toEqual(['a']);
  });

  it('finds the newest again after everything was committed and more was staged', () => {
    const table = newTable();
    table.stage('a', nodeOf('a', 'red'));
    expect(named(table, 'red')).toEqual(['a']);
    table.commit('a', nodeOf('a', 'red'));
    table.stage('a', nodeOf('a', 'blue'));
    expect(named(table, 'red')).toEqual([]);
    expect(named(table, 'blue')).toEqual(['a']);
    expect(table.size).toBe(1);
  });
});
