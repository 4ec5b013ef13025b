import { Code, SwarmError } from '../base/index.js';
import { NodeRole, type Node } from './messages.js';
import { parseIp, parseSubnet, sameIp, subnetContains } from './ip.js';

/** A placement constraint, parsed. */
export interface Constraint {
  /** As written; compared without regard to case, except for the label name it may end in. */
  readonly key: string;
  readonly operator: '==' | '!=';
  readonly value: string;
}

const KEY = /^[a-z_][a-z0-9\-_.]+$/i;
const VALUE = /^[a-z0-9:\-_\s.*()?+[\]\\^$|/]+$/i;
const OPERATORS = ['==', '!='] as const;
const NODE_LABEL_PREFIX = 'node.labels.';
const ENGINE_LABEL_PREFIX = 'engine.labels.';

/**
 * Parses placement constraints (`key==value`, `key!=value`).
 * @throws SwarmError InvalidArgument that names the expression; the texts are SwarmKit's.
 */
export function parseConstraints(expressions: readonly string[]): readonly Constraint[] {
  return expressions.map(parseConstraint);
}

function parseConstraint(expression: string): Constraint {
  // SwarmKit looks for "==" first, wherever "!=" may stand.
  const operator = OPERATORS.find((candidate) => expression.includes(candidate));
  if (operator === undefined)
    throw invalid(`constraint expected one operator from ${OPERATORS.join(', ')}`, expression);
  const at = expression.indexOf(operator);
  const key = expression.slice(0, at).trim();
  const value = expression.slice(at + operator.length).trim();
  if (!KEY.test(key)) throw invalid(`key '${key}' is invalid`, expression);
  if (!VALUE.test(value)) throw invalid(`value '${value}' is invalid`, expression);
  return { key, operator, value };
}

function invalid(message: string, expression: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, message, { details: { constraint: expression } });
}

/** Whether the node satisfies every constraint. An unknown key is never satisfied. */
export function nodeMatches(constraints: readonly Constraint[], node: Node): boolean {
  return constraints.every((constraint) => constraintMatches(constraint, node));
}

/** Whether the node satisfies the constraint. */
export function constraintMatches(constraint: Constraint, node: Node): boolean {
  const key = constraint.key.toLowerCase();
  switch (key) {
    case 'node.id':
      return compare(constraint, node.id);
    case 'node.hostname':
      return compare(constraint, node.description?.hostname ?? '');
    case 'node.ip':
      return matchesAddress(constraint, node.status?.addr ?? '');
    case 'node.role':
      return compare(constraint, NodeRole[node.role] ?? '');
    case 'node.platform.os':
      return compare(constraint, node.description?.platform?.os ?? '');
    case 'node.platform.arch':
      return compare(constraint, node.description?.platform?.architecture ?? '');
    default: {
      const labelled = labelOf(constraint.key, key, node);
      return labelled !== undefined && compare(constraint, labelled.value);
    }
  }
}

function labelOf(written: string, key: string, node: Node): { readonly value: string } | undefined {
  if (key.startsWith(NODE_LABEL_PREFIX) && key.length > NODE_LABEL_PREFIX.length) {
    return { value: node.spec?.annotations?.labels[written.slice(NODE_LABEL_PREFIX.length)] ?? '' };
  }
  if (key.startsWith(ENGINE_LABEL_PREFIX) && key.length > ENGINE_LABEL_PREFIX.length) {
    return { value: node.description?.engine?.labels[written.slice(ENGINE_LABEL_PREFIX.length)] ?? '' };
  }
  return undefined;
}

function compare(constraint: Constraint, actual: string): boolean {
  return (constraint.value.toLowerCase() === actual.toLowerCase()) === (constraint.operator === '==');
}

function matchesAddress(constraint: Constraint, actual: string): boolean {
  const address = parseIp(actual);
  const wanted = parseIp(constraint.value);
  const subnet = parseSubnet(constraint.value);
  if (wanted === undefined && subnet === undefined) return false;
  const within =
    address !== undefined &&
    (wanted === undefined ? subnet !== undefined && subnetContains(subnet, address) : sameIp(wanted, address));
  return within === (constraint.operator === '==');
}
