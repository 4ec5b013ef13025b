/** An option of a command, as far as reading it matters. */
export interface KnownOption {
  readonly long?: string | undefined;
  readonly short?: string | undefined;
  /** Whether the next argument belongs to it. */
  readonly takesValue: boolean;
}

const TRUE = new Set(['true', 't', '1']);
const FALSE = new Set(['false', 'f', '0']);

/**
 * Switches may be given a value, as with SwarmKit's tool: `--tty=true` becomes `--tty`, `--tty=false` becomes
 * `--no-tty` where that exists and nothing where it does not. Values of other options are left alone.
 */
export function normalizeSwitches(given: readonly string[], options: readonly KnownOption[]): string[] {
  const byName = new Map<string, KnownOption>();
  for (const option of options) {
    if (option.long !== undefined) byName.set(option.long, option);
    if (option.short !== undefined) byName.set(option.short, option);
  }
  const result: string[] = [];
  for (let at = 0; at < given.length; at++) {
    const argument = given[at] ?? '';
    if (argument === '--') return [...result, ...given.slice(at)];
    result.push(...normalized(argument, byName));
    if (byName.get(argument)?.takesValue === true && at + 1 < given.length) result.push(given[++at] ?? '');
  }
  return result;
}

function normalized(argument: string, byName: ReadonlyMap<string, KnownOption>): readonly string[] {
  const match = /^(--[^=]+)=(.*)$/s.exec(argument);
  const [, name = '', value = ''] = match ?? [];
  const option = byName.get(name);
  if (option === undefined || option.takesValue) return [argument];
  if (TRUE.has(value.toLowerCase())) return [name];
  if (!FALSE.has(value.toLowerCase())) return [argument];
  const negated = `--no-${name.slice(2)}`;
  return byName.has(negated) ? [negated] : [];
}
