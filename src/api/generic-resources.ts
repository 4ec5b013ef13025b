import { create } from '@bufbuild/protobuf';

import { Code, SwarmError } from '../base/index.js';
import {
  DiscreteGenericResourceSchema,
  GenericResourceSchema,
  NamedGenericResourceSchema,
  type GenericResource,
} from './messages.js';

/** A counted resource. */
export function discreteResource(kind: string, value: bigint): GenericResource {
  return create(GenericResourceSchema, {
    resource: { case: 'discreteResourceSpec', value: create(DiscreteGenericResourceSchema, { kind, value }) },
  });
}

/** One named unit of a resource. */
export function namedResource(kind: string, value: string): GenericResource {
  return create(GenericResourceSchema, {
    resource: { case: 'namedResourceSpec', value: create(NamedGenericResourceSchema, { kind, value }) },
  });
}

/** Kind of a generic resource; empty when the message carries none. */
export function resourceKind(resource: GenericResource): string {
  return resource.resource.case === undefined ? '' : resource.resource.value.kind;
}

/**
 * Parses what a node offers: `kind=3` (a count) and `kind=a,kind=b` (names); a kind may not mix both.
 * @throws SwarmError InvalidArgument that names the term.
 */
export function parseGenericResources(text: string): readonly GenericResource[] {
  const values = new Map<string, string[]>();
  for (const term of text.split(',').filter((part) => part.trim() !== '')) {
    const parts = term.split('=').map((part) => part.trim());
    if (parts.length !== 2 || parts[0] === '' || parts[1] === '') {
      throw malformed(`incorrect term ${term}, missing '=' or malformed expression`);
    }
    const [kind, value] = parts as [string, string];
    values.set(kind, [...(values.get(kind) ?? []), value]);
  }
  return [...values].flatMap(([kind, list]) => resourcesOf(kind, list));
}

function resourcesOf(kind: string, values: readonly string[]): readonly GenericResource[] {
  const counts = values.filter((value) => /^[+-]?\d+$/.test(value));
  if (counts.length === 0) return values.map((value) => namedResource(kind, value));
  if (values.length > 1)
    throw malformed(`mixed discrete and named resources in expression '${kind}=${values.join(',')}'`);
  const count = BigInt(counts[0] as string);
  if (count < 0n) throw malformed(`cannot ask for negative resource ${kind}`);
  return [discreteResource(kind, count)];
}

function malformed(message: string): SwarmError {
  return new SwarmError(Code.INVALID_ARGUMENT, `could not parse GenericResource: ${message}`);
}

/** Free generic resources of a node, to take from and give back to. Mutable: belongs to one owner. */
export class GenericResourcePool {
  readonly #counts = new Map<string, bigint>();
  readonly #names = new Map<string, Set<string>>();

  constructor(offered: readonly GenericResource[]) {
    this.release(offered);
  }

  /** Units of a kind that are free. */
  available(kind: string): bigint {
    return this.#counts.get(kind) ?? BigInt(this.#names.get(kind)?.size ?? 0);
  }

  /** Whether every reservation fits. Reservations are counts; a name asks for exactly that unit. */
  fits(reservations: readonly GenericResource[]): boolean {
    const wanted = new Map<string, bigint>();
    for (const { resource } of reservations) {
      if (resource.case === 'discreteResourceSpec') {
        wanted.set(resource.value.kind, (wanted.get(resource.value.kind) ?? 0n) + resource.value.value);
      } else if (resource.case === 'namedResourceSpec') {
        if (this.#names.get(resource.value.kind)?.has(resource.value.value) !== true) return false;
      }
    }
    for (const [kind, count] of wanted) if (this.available(kind) < count) return false;
    return true;
  }

  /** Takes what is reserved and returns the units: names where the node offers names. Call only if it fits. */
  claim(reservations: readonly GenericResource[]): readonly GenericResource[] {
    const claimed: GenericResource[] = [];
    for (const reservation of reservations) {
      const units = this.#unitsFor(reservation);
      this.take(units);
      claimed.push(...units);
    }
    return claimed;
  }

  /** Takes exactly these units, e.g. those of a task that already runs. Unknown ones are passed over. */
  take(units: readonly GenericResource[]): void {
    for (const { resource } of units) {
      if (resource.case === 'discreteResourceSpec') {
        const free = this.#counts.get(resource.value.kind);
        if (free !== undefined) this.#counts.set(resource.value.kind, free - resource.value.value);
      } else if (resource.case === 'namedResourceSpec') {
        this.#names.get(resource.value.kind)?.delete(resource.value.value);
      }
    }
  }

  /** Gives units back. */
  release(units: readonly GenericResource[]): void {
    for (const { resource } of units) {
      if (resource.case === 'discreteResourceSpec') {
        this.#counts.set(resource.value.kind, (this.#counts.get(resource.value.kind) ?? 0n) + resource.value.value);
      } else if (resource.case === 'namedResourceSpec') {
        const names = this.#names.get(resource.value.kind) ?? new Set();
        names.add(resource.value.value);
        this.#names.set(resource.value.kind, names);
      }
    }
  }

  #unitsFor({ resource }: GenericResource): readonly GenericResource[] {
    if (resource.case === 'namedResourceSpec') return [namedResource(resource.value.kind, resource.value.value)];
    if (resource.case !== 'discreteResourceSpec') return [];
    const { kind, value } = resource.value;
    const names = this.#names.get(kind);
    if (names === undefined) return [discreteResource(kind, value)];
    return [...names]
      .sort()
      .slice(0, Number(value))
      .map((name) => namedResource(kind, name));
  }
}
