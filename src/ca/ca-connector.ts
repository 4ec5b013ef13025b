import type { Credentials, RpcChannel, RpcNetwork } from '../api/index.js';

/** One connection to a manager, for a few calls. */
export interface CaConnection {
  readonly channel: RpcChannel;
  /** Ends it. `ok` tells whoever chooses managers how this one did. */
  close(ok: boolean): void;
}

/** Chooses a manager for every try. */
export interface CaConnector {
  /**
   * @param remoteOnly not the manager in this process, which may just have been demoted.
   * @throws SwarmError Unavailable when no manager is known.
   */
  connect(credentials: Credentials, remoteOnly: boolean): CaConnection;
}

/** Reaches managers over the network, each time the one that `pick` names. */
export function networkConnector(
  network: RpcNetwork,
  pick: () => string,
  observe: (addr: string, ok: boolean) => void = () => undefined,
): CaConnector {
  return {
    connect(credentials) {
      const addr = pick();
      const channel = network.dial(addr, credentials);
      const close = (ok: boolean): void => {
        channel.close();
        observe(addr, ok);
      };
      return { channel, close };
    },
  };
}
