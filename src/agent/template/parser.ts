import { Code, SwarmError } from '../../base/index.js';
import { fromGoString } from './go-string.js';
import { tokenize, type Token, type TokenKind } from './lexer.js';
import { nodeText } from './nodes.js';
import type { Command, Control, List, Node, Operand, Pipeline } from './nodes.js';
import { parseNumber } from './number.js';
import { quote, unquote } from './quote.js';

/** Nesting of actions and parentheses that is allowed: parser and evaluator are recursive. */
const NESTING_MAX = 200;

const OPERAND_KINDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'bool',
  'charConstant',
  'dot',
  'field',
  'identifier',
  'leftParen',
  'nil',
  'number',
  'rawString',
  'string',
  'variable',
]);

/** A parsed text: the templates in it, the text's own one under its name. */
export type TemplateSet = ReadonlyMap<string, List>;

/** Parses a template. `functions` are the names it may call. Fails with InvalidArgument, worded as Go does. */
export function parseTemplate(name: string, text: string, functions: ReadonlySet<string>): TemplateSet {
  return new Parser(name, text, functions).parse();
}

type ListEnd = 'end' | 'else';

class Parser {
  readonly #name: string;
  readonly #tokens: readonly Token[];
  readonly #functions: ReadonlySet<string>;
  readonly #templates = new Map<string, List>();
  #next = 0;
  #variables: string[] = ['$'];
  #rangeDepth = 0;
  #nesting = 0;

  constructor(name: string, text: string, functions: ReadonlySet<string>) {
    this.#name = name;
    this.#tokens = tokenize(text);
    this.#functions = functions;
  }

  parse(): TemplateSet {
    const nodes: Node[] = [];
    const position = this.#peek().position;
    while (this.#peek().kind !== 'eof') {
      const parsed = this.#textOrAction(true);
      if (parsed === 'end' || parsed === 'else') this.#fail(`unexpected {{${parsed}}}`);
      if (parsed !== undefined) nodes.push(parsed);
    }
    this.#add(this.#name, { kind: 'list', position, nodes });
    return this.#templates;
  }

  #add(name: string, list: List): void {
    const known = this.#templates.get(name);
    if (known === undefined || isEmpty(known)) this.#templates.set(name, list);
    else if (!isEmpty(list)) this.#fail(`multiple definition of template ${fromGoString(quote(name))}`);
  }

  /** A node, the end of a list, or undefined where a definition was read. */
  #textOrAction(topLevel: boolean): Node | ListEnd | undefined {
    const token = this.#takeNonSpace();
    if (token.kind === 'text') return { kind: 'text', position: token.position, text: token.text };
    if (token.kind !== 'leftDelim') this.#unexpected(token, 'input');
    const keyword = this.#peekNonSpace();
    if (keyword.kind !== 'keyword') return this.#plainAction();
    this.#takeNonSpace();
    return this.#keywordAction(keyword, topLevel);
  }

  #plainAction(): Node {
    const { position } = this.#peekNonSpace();
    return { kind: 'action', position, pipeline: this.#pipeline('command', 'rightDelim') };
  }

  #keywordAction(keyword: Token, topLevel: boolean): Node | ListEnd | undefined {
    switch (keyword.text) {
      case 'if':
      case 'range':
      case 'with':
        return this.#control(keyword.text);
      case 'else':
        if (!this.#elseGoesOn()) this.#expect('rightDelim', 'else');
        return 'else';
      case 'end':
        this.#expect('rightDelim', 'end');
        return 'end';
      case 'break':
      case 'continue':
        return this.#loopExit(keyword, keyword.text);
      case 'template':
        return this.#template(keyword);
      case 'block':
        return this.#block(keyword);
      default:
        if (keyword.text === 'define' && topLevel) return this.#define();
        return this.#unexpected(keyword, 'command');
    }
  }

  /** `{{else if …}}` and `{{else with …}}` leave their keyword to be read. */
  #elseGoesOn(): boolean {
    const { kind, text } = this.#peekNonSpace();
    return kind === 'keyword' && (text === 'if' || text === 'with');
  }

  #loopExit(keyword: Token, kind: 'break' | 'continue'): Node {
    const token = this.#takeNonSpace();
    if (token.kind !== 'rightDelim') this.#unexpected(token, `{{${kind}}}`);
    if (this.#rangeDepth === 0) this.#fail(`{{${kind}}} outside {{range}}`);
    return { kind, position: keyword.position };
  }

  #control(kind: Control['kind']): Control {
    const variables = this.#variables.length;
    const pipeline = this.#pipeline(kind, 'rightDelim');
    if (kind === 'range') this.#rangeDepth += 1;
    const [list, end] = this.#list();
    if (kind === 'range') this.#rangeDepth -= 1;
    const elseList = end === 'else' ? this.#elseList(kind) : undefined;
    this.#variables.length = variables;
    return { kind, position: pipeline.position, pipeline, list, elseList };
  }

  #elseList(kind: Control['kind']): List {
    const { kind: tokenKind, text, position } = this.#peekNonSpace();
    if (tokenKind === 'keyword' && text === kind && kind !== 'range') {
      // `{{else if}}` is an if inside the else; the one {{end}} closes both.
      this.#takeNonSpace();
      return { kind: 'list', position, nodes: [this.#nested(() => this.#control(kind))] };
    }
    if (this.#elseGoesOn()) this.#unexpected(this.#peekNonSpace(), 'input');
    const [list, end] = this.#list();
    if (end !== 'end') this.#fail('expected end; found {{else}}');
    return list;
  }

  #list(): [List, ListEnd] {
    return this.#nested(() => {
      const nodes: Node[] = [];
      const { position } = this.#peekNonSpace();
      while (this.#peekNonSpace().kind !== 'eof') {
        const parsed = this.#textOrAction(false);
        if (parsed === 'end' || parsed === 'else') return [{ kind: 'list', position, nodes }, parsed];
        if (parsed !== undefined) nodes.push(parsed);
      }
      return this.#fail('unexpected EOF');
    });
  }

  #define(): undefined {
    const name = this.#templateName('define clause');
    this.#expect('rightDelim', 'define clause');
    this.#add(name, this.#body('define clause'));
  }

  #block(keyword: Token): Node {
    const name = this.#templateName('block clause');
    const pipeline = this.#pipeline('block clause', 'rightDelim');
    this.#add(name, this.#body('block clause'));
    return { kind: 'template', position: keyword.position, name, pipeline };
  }

  /** The body of a template of its own: it sees no variables and no loop from outside. */
  #body(context: string): List {
    const [variables, rangeDepth] = [this.#variables, this.#rangeDepth];
    [this.#variables, this.#rangeDepth] = [['$'], 0];
    const [list, end] = this.#list();
    if (end !== 'end') this.#fail(`unexpected {{else}} in ${context}`);
    [this.#variables, this.#rangeDepth] = [variables, rangeDepth];
    return list;
  }

  #template(keyword: Token): Node {
    const name = this.#templateName('template clause');
    const bare = this.#peekNonSpace().kind === 'rightDelim';
    if (bare) this.#takeNonSpace();
    const pipeline = bare ? undefined : this.#pipeline('template clause', 'rightDelim');
    return { kind: 'template', position: keyword.position, name, pipeline };
  }

  #templateName(context: string): string {
    const token = this.#takeNonSpace();
    if (token.kind !== 'string' && token.kind !== 'rawString') this.#unexpected(token, context);
    return unquote(token.text) ?? this.#fail('invalid syntax');
  }

  #pipeline(context: string, end: TokenKind): Pipeline {
    const { position } = this.#peekNonSpace();
    const { variables, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#peekNonSpace();
      if (token.kind === end) {
        this.#takeNonSpace();
        this.#checkPipeline(commands, context);
        return { kind: 'pipeline', position, commands, variables, assigns };
      }
      if (!OPERAND_KINDS.has(token.kind)) this.#unexpected(this.#takeNonSpace(), context);
      commands.push(this.#command());
    }
  }

  /** `$x :=`, `$x =`, and in a range also `$i, $x :=`. */
  #declarations(context: string): { readonly variables: string[]; readonly assigns: boolean } {
    const variables: string[] = [];
    for (;;) {
      const variable = this.#peekNonSpace();
      if (variable.kind !== 'variable') break;
      const start = this.#next;
      this.#takeNonSpace();
      const token = this.#takeNonSpace();
      if (token.kind === 'assign' || token.kind === 'declare') {
        variables.push(variable.text);
        if (token.kind === 'declare') this.#variables.push(variable.text);
        else this.#checkVariable(variable.text);
        return { variables, assigns: token.kind === 'assign' };
      }
      if (token.kind === 'error') this.#unexpected(token, context);
      if (token.kind !== 'char' || token.text !== ',') {
        this.#next = start;
        break;
      }
      variables.push(variable.text);
      this.#variables.push(variable.text);
      if (context !== 'range' || variables.length > 1) this.#fail(`too many declarations in ${context}`);
      const { kind } = this.#peekNonSpace();
      if (kind !== 'variable' && kind !== 'rightDelim' && kind !== 'rightParen') {
        this.#fail('range can only initialize variables');
      }
    }
    return { variables, assigns: false };
  }

  #checkPipeline(commands: readonly Command[], context: string): void {
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.slice(1).forEach((command, index) => {
      const kind = command.operands[0]?.kind ?? 'nil';
      if (['bool', 'dot', 'nil', 'number', 'string'].includes(kind)) {
        this.#fail(`non executable command in pipeline stage ${index + 2}`);
      }
    });
  }

  #command(): Command {
    const { position } = this.#peekNonSpace();
    const operands: Operand[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== undefined) operands.push(operand);
      const token = this.#take();
      if (token.kind === 'space') continue;
      if (token.kind === 'rightDelim' || token.kind === 'rightParen') this.#next -= 1;
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand');
      break;
    }
    if (operands.length === 0) this.#fail('empty command');
    return { kind: 'command', position, operands };
  }

  /** A term with the fields that follow it. */
  #operand(): Operand | undefined {
    const term = this.#term();
    if (term === undefined || this.#peek().kind !== 'field') return term;
    const { position } = this.#peek();
    const names: string[] = [];
    while (this.#peek().kind === 'field') names.push(this.#take().text.slice(1));
    switch (term.kind) {
      case 'field':
      case 'variable':
        return { ...term, position, names: [...term.names, ...names] };
      case 'bool':
      case 'string':
      case 'number':
      case 'nil':
      case 'dot':
        return this.#fail(`unexpected . after term ${fromGoString(quote(nodeText(term)))}`);
      default:
        return { kind: 'chain', position, base: term, names };
    }
  }

  #term(): Operand | undefined {
    const token = this.#takeNonSpace();
    const { position, text } = token;
    switch (token.kind) {
      case 'identifier':
        if (!this.#functions.has(text)) this.#fail(`function ${fromGoString(quote(text))} not defined`);
        return { kind: 'identifier', position, name: text };
      case 'dot':
        return { kind: 'dot', position };
      case 'nil':
        return { kind: 'nil', position };
      case 'variable':
        this.#checkVariable(text);
        return { kind: 'variable', position, names: [text] };
      case 'field':
        return { kind: 'field', position, names: [text.slice(1)] };
      case 'bool':
        return { kind: 'bool', position, value: text === 'true' };
      case 'charConstant':
      case 'number':
        return this.#number(token);
      case 'leftParen':
        return this.#nested(() => this.#pipeline('parenthesized pipeline', 'rightParen'));
      case 'string':
      case 'rawString':
        return { kind: 'string', position, text, value: unquote(text) ?? this.#fail('invalid syntax') };
      default:
        this.#next -= 1;
        return undefined;
    }
  }

  #number({ position, text }: Token): Operand {
    const number = parseNumber(text, quote(text));
    if ('syntaxError' in number) return this.#fail(number.syntaxError);
    const value = 'value' in number ? number.value : undefined;
    return { kind: 'number', position, text, value, overflows: value === undefined };
  }

  #checkVariable(name: string): void {
    if (!this.#variables.includes(name)) this.#fail(`undefined variable ${fromGoString(quote(name))}`);
  }

  #nested<T>(parse: () => T): T {
    if (++this.#nesting > NESTING_MAX) this.#fail(`nested more than ${NESTING_MAX} deep`);
    const result = parse();
    this.#nesting -= 1;
    return result;
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }

  #peekNonSpace(): Token {
    while (this.#peek().kind === 'space') this.#next += 1;
    return this.#peek();
  }

  #takeNonSpace(): Token {
    this.#peekNonSpace();
    return this.#take();
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#takeNonSpace();
    return token.kind === kind ? token : this.#unexpected(token, context);
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind === 'error') this.#fail(fromGoString(token.text));
    this.#fail(`unexpected ${tokenText(token)} in ${context}`);
  }

  #fail(message: string): never {
    const last = this.#tokens[Math.min(Math.max(this.#next - 1, 0), this.#tokens.length - 1)];
    throw new SwarmError(Code.INVALID_ARGUMENT, `template: ${this.#name}:${last?.line ?? 1}: ${message}`);
  }
}

function tokenText({ kind, text }: Token): string {
  if (kind === 'eof') return 'EOF';
  if (kind === 'keyword') return `<${text}>`;
  return text.length > 10 ? `${fromGoString(quote(text.slice(0, 10)))}...` : fromGoString(quote(text));
}

/** Whether a template holds nothing but space: such a one may be defined again. */
function isEmpty(list: List): boolean {
  return list.nodes.every((node) => node.kind === 'text' && node.text.trim() === '');
}
