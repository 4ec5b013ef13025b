import { Code, isSwarmError, makeDurableDirectory, SwarmError, type Disk } from '../../base/index.js';
import { JsonObject, parseJson, printJson } from '../http/index.js';

/** What is kept of how this node was started (engine-api E-312). Tokens, keys and one-time flags are not. */
export interface SavedStart {
  readonly localAddr: string;
  readonly remoteAddr: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly dataPathAddr: string;
  readonly defaultAddressPool: readonly string[];
  readonly subnetSize: number;
  readonly dataPathPort: number;
  readonly joinInProgress: boolean;
}

const FILE = 'docker-state.json';
const FILE_MODE = 0o600;
const CERTIFICATE = 'certificates/swarm-node.crt';

/** Reads and writes `docker-state.json` and empties the state directory. */
export class StateFile {
  readonly #directory: string;
  readonly #disk: Disk;

  constructor(directory: string, deps: { readonly disk: Disk }) {
    this.#directory = directory;
    this.#disk = deps.disk;
  }

  /**
   * What was saved; undefined when there is nothing to resume, in which case the directory is emptied (E-313).
   * @throws SwarmError DataLoss when the file cannot be understood; nothing is erased then.
   */
  async load(): Promise<SavedStart | undefined> {
    const path = `${this.#directory}/${FILE}`;
    const bytes = await this.#disk.readFile(path).catch((error: unknown) => {
      if (isSwarmError(error, Code.NOT_FOUND)) return undefined;
      throw error;
    });
    if (bytes === undefined || !(await this.#disk.exists(`${this.#directory}/${CERTIFICATE}`))) {
      if (bytes !== undefined) await this.clear();
      return undefined;
    }
    try {
      return decode(new TextDecoder().decode(bytes));
    } catch (error) {
      throw new SwarmError(
        Code.DATA_LOSS,
        `${path} is damaged: restore it from a backup, or empty ${this.#directory} to leave the swarm`,
        { cause: error },
      );
    }
  }

  async save(start: SavedStart): Promise<void> {
    await makeDurableDirectory(this.#disk, this.#directory, 0o700);
    const text = printJson({
      LocalAddr: start.localAddr,
      RemoteAddr: start.remoteAddr,
      ListenAddr: start.listenAddr,
      AdvertiseAddr: start.advertiseAddr,
      DataPathAddr: start.dataPathAddr,
      DefaultAddressPool: start.defaultAddressPool,
      SubnetSize: start.subnetSize,
      DataPathPort: start.dataPathPort,
      JoinInProgress: start.joinInProgress,
    });
    await this.#disk.writeFileAtomic(`${this.#directory}/${FILE}`, new TextEncoder().encode(text), FILE_MODE);
  }

  /** Removes everything in the directory, but not the directory itself (E-314). */
  async clear(): Promise<void> {
    if (!(await this.#disk.exists(this.#directory))) return;
    for (const { name } of await this.#disk.list(this.#directory))
      await this.#disk.remove(`${this.#directory}/${name}`);
  }
}

function decode(text: string): SavedStart {
  const json = new JsonObject(parseJson(text) as Record<string, never>, '');
  return {
    localAddr: json.string('LocalAddr'),
    remoteAddr: json.string('RemoteAddr'),
    listenAddr: json.string('ListenAddr'),
    advertiseAddr: json.string('AdvertiseAddr'),
    dataPathAddr: json.string('DataPathAddr'),
    defaultAddressPool: json.strings('DefaultAddressPool'),
    subnetSize: json.unsigned32('SubnetSize'),
    dataPathPort: json.unsigned32('DataPathPort'),
    joinInProgress: json.boolean('JoinInProgress'),
  };
}
