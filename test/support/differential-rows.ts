import type { Call } from './differential.js';

/** A request sent to both engines, and what may differ between their answers. */
export interface Row extends Call {
  /** Values of the answer (a path into its JSON) that later rows name as `$key`. */
  readonly remember?: Readonly<Record<string, readonly (string | number)[]>>;
  /** Part of the answer that is compared; the whole by default. */
  readonly pick?: (body: unknown) => unknown;
  /** The request is repeated until the answer satisfies this. */
  readonly until?: (body: unknown) => boolean;
  /** The request is repeated until two answers in a row are the same. */
  readonly settled?: boolean;
  /** Headers that are compared too, in lower case. */
  readonly headersCompared?: readonly string[];
  /** What ours answers on purpose instead. */
  readonly ours?: { readonly status: number; readonly body: unknown; readonly why: string };
}

/** A read. */
export const get = (path: string, rest: Partial<Row> = {}): Row => ({ method: 'GET', path, ...rest });

/** A write with a JSON body. */
export const post = (path: string, body: unknown, rest: Partial<Row> = {}): Row => ({
  method: 'POST',
  path,
  body,
  ...rest,
});

/** A removal. */
export const del = (path: string, rest: Partial<Row> = {}): Row => ({ method: 'DELETE', path, ...rest });

/** A member of a JSON object; undefined when there is none. */
export function member(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[key] : undefined),
    value,
  );
}
