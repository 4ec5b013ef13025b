import type { Clock, Logger, Random } from '../base/index.js';
import { RootCa, type KeyFiles, type SecurityConfig, type WebCrypto } from '../ca/index.js';

/** What taking over a root needs. */
export interface TrustedRootDeps {
  readonly crypto: WebCrypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly keyFiles: Pick<KeyFiles, 'writeRoot'>;
}

/** Takes over the root that managers send, in use and on disk, one after the other, so that the last one stays. */
export class TrustedRoot {
  readonly #deps: TrustedRootDeps;
  #last: Promise<void> = Promise.resolve();

  constructor(deps: TrustedRootDeps) {
    this.#deps = deps;
  }

  /** Begins to trust this bundle, unless it does not vouch for the node's own certificate. */
  take(bundle: Uint8Array, security: SecurityConfig): void {
    this.#last = this.#last.then(() => this.#takeOver(bundle, security));
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    return this.#last;
  }

  async #takeOver(bundle: Uint8Array, security: SecurityConfig): Promise<void> {
    if (Buffer.compare(bundle, security.rootCa.bundle) === 0) return;
    const { clock, log, keyFiles } = this.#deps;
    try {
      const root = await RootCa.load(this.#deps, { bundle }, clock.nowMs());
      await security.updateRoot(root, clock.nowMs());
      await keyFiles.writeRoot(bundle);
    } catch (error) {
      log.error({ err: error }, 'the root CA that the manager sent is not taken over');
    }
  }
}
