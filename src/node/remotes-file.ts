import { create } from '@bufbuild/protobuf';

import { PeerSchema, type Peer, type WeightedPeer } from '../api/index.js';
import { Code, isSwarmError, SwarmError, type Disk } from '../base/index.js';

const FILE_MODE = 0o600;

/** The managers that this node last heard of, in `state.json`: how it finds the cluster again after a restart. */
export class RemotesFile {
  readonly #path: string;
  readonly #disk: Disk;
  #written = '';

  constructor(stateDir: string, deps: { readonly disk: Disk }) {
    this.#path = `${stateDir}/state.json`;
    this.#disk = deps.disk;
  }

  /** Whether nothing was ever written. */
  get isEmpty(): boolean {
    return this.#written === '';
  }

  /** The peers of the file; none when there is no file. @throws SwarmError DataLoss when it is damaged. */
  async load(): Promise<readonly Peer[]> {
    let text: string;
    try {
      text = new TextDecoder().decode(await this.#disk.readFile(this.#path));
    } catch (error) {
      if (isSwarmError(error, Code.NOT_FOUND)) return [];
      throw error;
    }
    try {
      const entries: unknown = JSON.parse(text);
      if (!Array.isArray(entries)) throw new SwarmError(Code.DATA_LOSS, 'it is not a list');
      const peers = entries.map(peerOf);
      this.#written = text;
      return peers;
    } catch (error) {
      throw new SwarmError(
        Code.DATA_LOSS,
        `${this.#path} is damaged: restore it, or remove it and start with the address of a manager`,
        { cause: error },
      );
    }
  }

  /** Writes the peers when they differ from what the file holds. */
  async save(managers: readonly WeightedPeer[]): Promise<void> {
    const entries = managers.flatMap(({ peer }) =>
      peer === undefined ? [] : [{ node_id: peer.nodeId, addr: peer.addr }],
    );
    const text = JSON.stringify(entries.sort((a, b) => (a.addr < b.addr ? -1 : 1)));
    if (text === this.#written || entries.length === 0) return;
    await this.#disk.writeFileAtomic(this.#path, new TextEncoder().encode(text), FILE_MODE);
    this.#written = text;
  }
}

function peerOf(entry: { readonly node_id?: unknown; readonly addr?: unknown } | null): Peer {
  const { node_id: nodeId = '', addr } = entry ?? {};
  if (typeof nodeId !== 'string' || typeof addr !== 'string' || addr === '') {
    throw new SwarmError(Code.DATA_LOSS, 'an entry names no address');
  }
  return create(PeerSchema, { nodeId, addr });
}
