import type { DescMethod } from '@bufbuild/protobuf';

import { Code, SwarmError } from '../base/index.js';
import type { BoundService, CallContext } from './rpc.js';

/** A handler whose types were checked when it was bound. */
export type AnyHandler = (request: unknown, context: CallContext) => unknown;

/** A method that a server offers. */
export interface ServedMethod {
  readonly method: DescMethod;
  readonly handler: AnyHandler;
}

/** The path by which gRPC names a method: `/package.Service/Method`. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** What a server offers, by gRPC path. */
export class ServiceTable {
  readonly #methods = new Map<string, ServedMethod>();
  readonly #services = new Set<string>();

  constructor(services: readonly BoundService[]) {
    for (const { service, handlers } of services) {
      this.#services.add(service.typeName);
      for (const method of service.methods) {
        const handler = handlers[method.localName] as AnyHandler | undefined;
        if (handler !== undefined) this.#methods.set(methodPath(method), { method, handler });
      }
    }
  }

  /** The method at the path; throws Unimplemented with the texts of grpc-go, which callers may match. */
  find(path: string): ServedMethod {
    return this.#methods.get(path) ?? this.#fail(path);
  }

  #fail(path: string): never {
    const slash = path.lastIndexOf('/');
    if (slash <= 0) throw new SwarmError(Code.UNIMPLEMENTED, `malformed method name: ${JSON.stringify(path)}`);
    const service = path.slice(1, slash);
    const text = this.#services.has(service)
      ? `unknown method ${path.slice(slash + 1)} for service ${service}`
      : `unknown service ${service}`;
    throw new SwarmError(Code.UNIMPLEMENTED, text);
  }
}
