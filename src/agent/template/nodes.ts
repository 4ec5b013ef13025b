import { quote } from './quote.js';
import type { Value } from './values.js';

interface At {
  /** Byte offset in the template's text, for errors. */
  readonly position: number;
}

/** What an argument of a command can be. */
export type Operand =
  | (At & { readonly kind: 'dot' | 'nil' })
  | (At & { readonly kind: 'bool'; readonly value: boolean })
  | (At & { readonly kind: 'number'; readonly text: string; readonly value: Value; readonly overflows: boolean })
  | (At & { readonly kind: 'string'; readonly text: string; readonly value: string })
  | (At & { readonly kind: 'identifier'; readonly name: string })
  | (At & { readonly kind: 'field'; readonly names: readonly string[] })
  | (At & { readonly kind: 'variable'; readonly names: readonly string[] })
  | (At & { readonly kind: 'chain'; readonly base: Operand; readonly names: readonly string[] })
  | Pipeline;

/** A function or value with its arguments. */
export interface Command extends At {
  readonly kind: 'command';
  readonly operands: readonly Operand[];
}

/** Commands of which each gets the value of the one before; may declare or assign variables. */
export interface Pipeline extends At {
  readonly kind: 'pipeline';
  readonly commands: readonly Command[];
  readonly variables: readonly string[];
  readonly assigns: boolean;
}

/** A sequence of text and actions. */
export interface List extends At {
  readonly kind: 'list';
  readonly nodes: readonly Node[];
}

/** A text or an action. */
export type Node =
  | (At & { readonly kind: 'text'; readonly text: string })
  | (At & { readonly kind: 'action'; readonly pipeline: Pipeline })
  | (At & { readonly kind: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined })
  | (At & { readonly kind: 'break' | 'continue' })
  | Control;

/** An action with a body. */
export interface Control extends At {
  readonly kind: 'if' | 'range' | 'with';
  readonly pipeline: Pipeline;
  readonly list: List;
  readonly elseList: List | undefined;
}

/** Anything that an error can point at. */
export type AnyNode = Node | List | Operand | Command;

/** A node as template text. */
export function nodeText(node: AnyNode): string {
  switch (node.kind) {
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    case 'bool':
      return String(node.value);
    case 'number':
    case 'string':
      return node.text;
    case 'identifier':
      return node.name;
    case 'field':
      return node.names.map((name) => `.${name}`).join('');
    case 'variable':
      return node.names.join('.');
    case 'chain':
      return `${operandText(node.base)}${node.names.map((name) => `.${name}`).join('')}`;
    case 'command':
      return node.operands.map(operandText).join(' ');
    case 'pipeline':
      return pipelineText(node);
    case 'list':
      return node.nodes.map(nodeText).join('');
    case 'text':
      return quote(node.text);
    case 'action':
      return `{{${pipelineText(node.pipeline)}}}`;
    case 'template':
      return `{{template ${quote(node.name)}${node.pipeline === undefined ? '' : ` ${pipelineText(node.pipeline)}`}}}`;
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`;
    case 'if':
    case 'range':
    case 'with': {
      const otherwise = node.elseList === undefined ? '' : `{{else}}${nodeText(node.elseList)}`;
      return `{{${node.kind} ${pipelineText(node.pipeline)}}}${nodeText(node.list)}${otherwise}{{end}}`;
    }
  }
}

function operandText(operand: Operand): string {
  return operand.kind === 'pipeline' ? `(${pipelineText(operand)})` : nodeText(operand);
}

function pipelineText({ variables, assigns, commands }: Pipeline): string {
  const declared = variables.length === 0 ? '' : `${variables.join(', ')} ${assigns ? '=' : ':='} `;
  return declared + commands.map(nodeText).join(' | ');
}
