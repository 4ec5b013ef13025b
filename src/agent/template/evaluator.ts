import { Code, SwarmError, errorText } from '../../base/index.js';
import { sprint } from './format.js';
import { BUILTINS, FunctionError, SHORT_CIRCUITS, type ParameterType, type TemplateFunction } from './functions.js';
import { fromGoString, toGoString } from './go-string.js';
import {
  nodeText,
  type AnyNode,
  type Command,
  type Control,
  type List,
  type Node,
  type Operand,
  type Pipeline,
} from './nodes.js';
import { parseTemplate, type TemplateSet } from './parser.js';
import { quote } from './quote.js';
import { Struct, isMap, isSlice, isTrue, sortedKeys, typeName, type Value } from './values.js';

/** Templates within templates; Go allows 100,000, for which there is no stack here. */
const DEPTH_MAX = 100;
/** Steps of one expansion, about 10 ms: a template may not hold the event loop. */
const STEPS_MAX = 100_000;
/** Bytes of output and of any single value: four times the largest config. */
const BYTES_MAX = 4 << 20;

/** Functions beyond the builtins, by name. */
export type FunctionMap = ReadonlyMap<string, TemplateFunction>;

/** A template ready to be carried out. Parsing fails with InvalidArgument. */
export class Template {
  readonly #set: TemplateSet;
  readonly #functions: FunctionMap;

  /** @param text a Go string */
  constructor(
    readonly name: string,
    readonly text: string,
    functions: FunctionMap,
  ) {
    this.#functions = new Map([...BUILTINS, ...functions]);
    this.#set = parseTemplate(name, text, new Set(this.#functions.keys()));
  }

  /** The expansion for `data`; InvalidArgument says where and why there is none. */
  execute(data: Value): string {
    return new Evaluator(this, this.#set, this.#functions).run(data);
  }
}

/** Where a place in a text is, as Go's templates report it. */
function locationOf({ name, text }: Template, position: number): string {
  const before = text.slice(0, position);
  const line = before.split('\n').length;
  return `${name}:${line}:${position - (before.lastIndexOf('\n') + 1)}`;
}

interface Variable {
  readonly name: string;
  value: Value;
}

type LoopExit = 'break' | 'continue' | undefined;

/** Marks that no value came down the pipeline. */
const NOTHING: unique symbol = Symbol('nothing');

class Evaluator {
  #output: string[] = [];
  #bytes = 0;
  #steps = 0;
  #depth = 0;
  #variables: Variable[] = [];
  #at: AnyNode | undefined;
  #current: string;
  readonly #template: Template;
  readonly #set: TemplateSet;
  readonly #functions: FunctionMap;

  constructor(template: Template, set: TemplateSet, functions: FunctionMap) {
    this.#template = template;
    this.#set = set;
    this.#functions = functions;
    this.#current = template.name;
  }

  run(data: Value): string {
    this.#variables = [{ name: '$', value: data }];
    const root = this.#set.get(this.#template.name);
    if (root !== undefined) this.#walkList(data, root);
    return this.#output.join('');
  }

  #fail(message: string): never {
    const where =
      this.#at === undefined
        ? this.#template.name
        : `${locationOf(this.#template, this.#at.position)}: executing ${fromGoString(quote(this.#current))} at <${fromGoString(nodeText(this.#at))}>`;
    throw new SwarmError(Code.INVALID_ARGUMENT, `template: ${where}: ${fromGoString(message)}`);
  }

  #reach(node: AnyNode): void {
    this.#at = node;
    if (++this.#steps > STEPS_MAX) this.#fail(`takes more than ${STEPS_MAX} steps`);
  }

  #write(text: string): void {
    this.#bytes += text.length;
    if (this.#bytes > BYTES_MAX) this.#fail(`gives more than ${BYTES_MAX} bytes`);
    this.#output.push(text);
  }

  #walkList(dot: Value, list: List): LoopExit {
    for (const node of list.nodes) {
      const exit = this.#walk(dot, node);
      if (exit !== undefined) return exit;
    }
    return undefined;
  }

  #walk(dot: Value, node: Node): LoopExit {
    this.#reach(node);
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        return undefined;
      case 'action':
        this.#walkAction(dot, node, node.pipeline);
        return undefined;
      case 'template':
        this.#walkTemplate(dot, node.name, node.pipeline);
        return undefined;
      case 'break':
      case 'continue':
        return node.kind;
      case 'range':
        return this.#scoped(() => this.#walkRange(dot, node));
      case 'if':
      case 'with':
        return this.#scoped(() => this.#walkIfOrWith(dot, node));
    }
  }

  #walkAction(dot: Value, node: Node, pipeline: Pipeline): void {
    const value = this.#pipeline(dot, pipeline);
    if (pipeline.variables.length > 0) return;
    this.#reach(node);
    this.#write(value === undefined ? '<no value>' : sprint([value]));
  }

  #scoped<T>(walk: () => T): T {
    const mark = this.#variables.length;
    const result = walk();
    this.#variables.length = mark;
    return result;
  }

  #walkIfOrWith(dot: Value, node: Control): LoopExit {
    const value = this.#pipeline(dot, node.pipeline);
    if (isTrue(value)) return this.#walkList(node.kind === 'with' ? value : dot, node.list);
    return node.elseList === undefined ? undefined : this.#walkList(dot, node.elseList);
  }

  #walkRange(dot: Value, node: Control): LoopExit {
    const value = this.#pipeline(dot, node.pipeline);
    const items = this.#itemsOf(value, node);
    let empty = true;
    for (const [key, item] of items) {
      empty = false;
      if (this.#iterate(key, item, node, typeof value === 'bigint') === 'break') break;
    }
    return empty && node.elseList !== undefined ? this.#walkList(dot, node.elseList) : undefined;
  }

  #itemsOf(value: Value, node: Control): Iterable<readonly [Value, Value]> {
    this.#reach(node);
    if (value === undefined) return [];
    if (isSlice(value)) return value.map((item, at) => [BigInt(at), item] as const);
    if (isMap(value)) return sortedKeys(value).map((key) => [key, value.get(key)] as const);
    if (typeof value !== 'bigint') return this.#fail(`range can't iterate over ${sprint([value])}`);
    if (node.pipeline.variables.length > 1) this.#fail(`can't use ${value} to iterate over more than one variable`);
    return countTo(value);
  }

  /** One turn: with two variables the first is the key, with one it is the item. */
  #iterate(key: Value, item: Value, node: Control, counts: boolean): LoopExit {
    this.#reach(node);
    const { pipeline, list } = node;
    const { variables, assigns } = pipeline;
    const [first, second] = variables.length === 2 ? [key, item] : [counts ? key : item, undefined];
    if (assigns) {
      if (variables[0] !== undefined) this.#assign(variables[0], first);
      if (variables[1] !== undefined) this.#assign(variables[1], second);
    } else {
      // The pipeline has declared them; they are its last.
      const last = this.#variables.length;
      variables.forEach((_, at) => {
        const variable = this.#variables[last - variables.length + at];
        if (variable !== undefined) variable.value = at === 0 ? first : second;
      });
    }
    return this.#scoped(() => this.#walkList(item, list));
  }

  #walkTemplate(dot: Value, name: string, pipeline: Pipeline | undefined): void {
    const list = this.#set.get(name);
    if (list === undefined) return this.#fail(`template ${quote(name)} not defined`);
    if (this.#depth >= DEPTH_MAX) this.#fail(`exceeded maximum template depth (${DEPTH_MAX})`);
    const data = pipeline === undefined ? undefined : this.#pipeline(dot, pipeline);
    const [variables, current] = [this.#variables, this.#current];
    this.#variables = [{ name: '$', value: data }];
    this.#current = name;
    this.#depth += 1;
    this.#walkList(data, list);
    this.#depth -= 1;
    [this.#variables, this.#current] = [variables, current];
  }

  #pipeline(dot: Value, pipeline: Pipeline): Value {
    this.#reach(pipeline);
    let value: Value | typeof NOTHING = NOTHING;
    for (const command of pipeline.commands) value = this.#command(dot, command, value);
    const result = value === NOTHING ? undefined : value;
    for (const name of pipeline.variables) {
      if (pipeline.assigns) this.#assign(name, result);
      else this.#variables.push({ name, value: result });
    }
    return result;
  }

  #assign(name: string, value: Value): void {
    const variable = this.#variables.findLast((known) => known.name === name);
    if (variable === undefined) return this.#fail(`undefined variable: ${name}`);
    variable.value = value;
  }

  #command(dot: Value, command: Command, final: Value | typeof NOTHING): Value {
    const [first, ...args] = command.operands;
    if (first === undefined) return this.#fail('empty command');
    if (first.kind === 'identifier') return this.#call(dot, first.name, first, command, args, final);
    const hasArguments = args.length > 0 || final !== NOTHING;
    if (first.kind === 'field' || first.kind === 'chain' || (first.kind === 'variable' && first.names.length > 1)) {
      return this.#operand(dot, first, hasArguments);
    }
    this.#reach(first);
    if (hasArguments) this.#fail(`can't give argument to non-function ${nodeText(first)}`);
    if (first.kind === 'nil') this.#fail('nil is not a command');
    return this.#operand(dot, first, false);
  }

  #operand(dot: Value, operand: Operand, hasArguments = false): Value {
    this.#reach(operand);
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return undefined;
      case 'bool':
      case 'string':
        return operand.value;
      case 'number':
        if (operand.overflows) this.#fail(`${operand.text} overflows int`);
        return operand.value;
      case 'identifier':
        return this.#call(dot, operand.name, operand, operand, [], NOTHING);
      case 'pipeline':
        return this.#pipeline(dot, operand);
      case 'field':
        return this.#fields(dot, operand.names, operand, hasArguments);
      case 'variable': {
        const [name = '', ...names] = operand.names;
        const variable = this.#variables.findLast((known) => known.name === name);
        if (variable === undefined) return this.#fail(`undefined variable: ${name}`);
        return this.#fields(variable.value, names, operand, hasArguments);
      }
      case 'chain':
        if (operand.base.kind === 'nil') this.#fail(`indirection through explicit nil in ${nodeText(operand)}`);
        return this.#fields(this.#operand(dot, operand.base), operand.names, operand, hasArguments);
    }
  }

  #fields(start: Value, names: readonly string[], node: AnyNode, hasArguments: boolean): Value {
    let value = start;
    names.forEach((name, at) => {
      this.#at = node;
      value = this.#field(value, name, hasArguments && at === names.length - 1);
    });
    return value;
  }

  #field(receiver: Value, name: string, hasArguments: boolean): Value {
    if (receiver === undefined) return this.#fail(`nil data; no entry for key ${quote(name)}`);
    if (receiver instanceof Struct && receiver.fields.has(name)) {
      if (hasArguments) this.#fail(`${name} has arguments but cannot be invoked as function`);
      return receiver.fields.get(name);
    }
    if (isMap(receiver)) {
      if (hasArguments) this.#fail(`${name} is not a method but has arguments`);
      if (!receiver.has(name)) this.#fail(`map has no entry for key ${quote(name)}`);
      return receiver.get(name);
    }
    return this.#fail(`can't evaluate field ${name} in type ${typeName(receiver)}`);
  }

  #call(
    dot: Value,
    name: string,
    node: AnyNode,
    whole: AnyNode,
    args: readonly Operand[],
    final: Value | typeof NOTHING,
  ): Value {
    this.#reach(node);
    const fn = this.#functions.get(name);
    if (fn === undefined) return this.#fail(`${quote(name)} is not a defined function`);
    this.#checkCount(name, fn, args.length, final !== NOTHING);
    if (SHORT_CIRCUITS.has(name)) return this.#shortCircuit(dot, name === 'or', args, final);
    const values = args.map((arg, at) => this.#argument(dot, arg, fn.fixed[at] ?? fn.rest ?? 'any'));
    if (final !== NOTHING) values.push(this.#checked(final, fn.fixed[values.length] ?? fn.rest ?? 'any'));
    try {
      const result = fn.call(values);
      if (typeof result === 'string' && result.length > BYTES_MAX)
        throw new FunctionError(`gives more than ${BYTES_MAX} bytes`);
      // Long texts cost time too.
      if (typeof result === 'string') this.#steps += result.length >> 6;
      return result;
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      this.#at = whole;
      return this.#fail(`error calling ${name}: ${toGoString(errorText(error))}`);
    }
  }

  #checkCount(name: string, { fixed, rest }: TemplateFunction, given: number, hasFinal: boolean): void {
    const count = given + (hasFinal ? 1 : 0);
    if (rest !== undefined && count < fixed.length) {
      this.#fail(`wrong number of args for ${name}: want at least ${fixed.length} got ${given}`);
    }
    if (rest === undefined && count !== fixed.length) {
      this.#fail(`wrong number of args for ${name}: want ${fixed.length} got ${count}`);
    }
  }

  /** `and` and `or`: the first argument that decides is the result, and no later one is evaluated. */
  #shortCircuit(dot: Value, decides: boolean, args: readonly Operand[], final: Value | typeof NOTHING): Value {
    let value: Value;
    for (const arg of args) {
      value = this.#argument(dot, arg, 'any');
      if (isTrue(value) === decides) return value;
    }
    return final === NOTHING ? value : final;
  }

  #argument(dot: Value, operand: Operand, type: ParameterType): Value {
    if (type === 'any') return this.#operand(dot, operand);
    this.#reach(operand);
    switch (operand.kind) {
      case 'nil':
        return this.#fail(`cannot assign nil to ${type}`);
      case 'bool':
      case 'number':
        return this.#fail(`expected ${type}; found ${nodeText(operand)}`);
      default:
        return this.#checked(this.#operand(dot, operand), type);
    }
  }

  #checked(value: Value, type: ParameterType): Value {
    if (type === 'any' || typeof value === type) return value;
    if (value === undefined) return this.#fail(`invalid value; expected ${type}`);
    return this.#fail(`wrong type for value; expected ${type}; got ${typeName(value)}`);
  }
}

function* countTo(limit: bigint): Generator<readonly [Value, Value], void, undefined> {
  for (let at = 0n; at < limit; at++) yield [at, at];
}
