import { by, type By } from '../../store/index.js';
import type { ControlContext } from './deps.js';
import { Slices } from './slices.js';

/** The filters that every list knows. Values within one are alternatives; all kinds must match. */
export interface CommonFilters {
  readonly names: readonly string[];
  readonly namePrefixes: readonly string[];
  readonly idPrefixes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** A test of one object; undefined where the filter is not used. */
export type Check<T> = ((object: T) => boolean) | undefined;

/** A filter's values with the finder that its index offers. */
export interface Choice {
  readonly finders: readonly By[];
}

/** Finders for each value of a filter. */
export function choice<V>(values: readonly V[] | undefined, finder: (value: V) => By): Choice {
  return { finders: values?.map(finder) ?? [] };
}

/** The finders of names and ids, in the order in which they are tried. */
export function commonChoices(filters: CommonFilters | undefined): readonly Choice[] {
  return [
    choice(filters?.names, by.name),
    choice(filters?.namePrefixes, by.namePrefix),
    choice(filters?.idPrefixes, by.idPrefix),
  ];
}

/** The first filter in use selects the candidates through its index; the others are checked afterwards. */
export function firstChoice(choices: readonly Choice[]): By {
  return anyFinder(choices.find(({ finders }) => finders.length > 0)?.finders ?? []);
}

/** The union of all choices; everything where none is used. */
export function anyChoice(choices: readonly Choice[]): By {
  return anyFinder(choices.flatMap(({ finders }) => finders));
}

function anyFinder(finders: readonly By[]): By {
  if (finders.length === 0) return by.all();
  return finders.length === 1 ? (finders[0] as By) : by.or(...finders);
}

/** Holds where the value is one of those wanted. */
export function oneOf<T, V>(wanted: readonly V[] | undefined, valueOf: (object: T) => V | undefined): Check<T> {
  if (wanted === undefined || wanted.length === 0) return undefined;
  const set = new Set<V | undefined>(wanted);
  return (object) => {
    const value = valueOf(object);
    return value !== undefined && set.has(value);
  };
}

/** Holds where the value starts with one of those wanted. */
export function startsWithAny<T>(
  wanted: readonly string[] | undefined,
  valueOf: (object: T) => string | undefined,
): Check<T> {
  if (wanted === undefined || wanted.length === 0) return undefined;
  return (object) => {
    const value = valueOf(object);
    return value !== undefined && wanted.some((prefix) => value.startsWith(prefix));
  };
}

/** Holds where all wanted labels are there; an empty value asks for the key alone. */
export function hasLabels<T>(
  wanted: Readonly<Record<string, string>> | undefined,
  labelsOf: (object: T) => Readonly<Record<string, string>> | undefined,
): Check<T> {
  const pairs = Object.entries(wanted ?? {});
  if (pairs.length === 0) return undefined;
  return (object) => {
    const labels = labelsOf(object);
    if (labels === undefined) return false;
    return pairs.every(([key, value]) => Object.hasOwn(labels, key) && (value === '' || labels[key] === value));
  };
}

/** What the common filters look at. */
export interface Named {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The checks of the common filters. */
export function commonChecks<T extends { readonly id: string }>(
  filters: CommonFilters | undefined,
  annotationsOf: (object: T) => Named | undefined,
): readonly Check<T>[] {
  const nameOf = (object: T): string => annotationsOf(object)?.name ?? '';
  return [
    oneOf(filters?.names, nameOf),
    startsWithAny(filters?.namePrefixes, nameOf),
    startsWithAny(filters?.idPrefixes, (object: T) => object.id),
    hasLabels(filters?.labels, (object: T) => annotationsOf(object)?.labels),
  ];
}

/** The objects that pass every check, in their order. Long lists are looked through in slices. */
export async function passing<T>(
  control: ControlContext,
  signal: AbortSignal,
  objects: readonly T[],
  checks: readonly Check<T>[],
): Promise<T[]> {
  const active = checks.filter((check) => check !== undefined);
  if (active.length === 0) return [...objects];
  const passed: T[] = [];
  const slices = new Slices(control.clock, control.sliceMs);
  for (const object of objects) {
    if (slices.isOver()) await slices.next(signal);
    if (active.every((check) => check(object))) passed.push(object);
  }
  return passed;
}
