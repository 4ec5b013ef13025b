import { readFileSync, readdirSync } from 'node:fs';

import { fromBinary } from '@bufbuild/protobuf';

import { InternalRaftRequestSchema, raftpb, type Cluster } from '../../src/api/index.js';
import { AuthenticatedCipher } from '../../src/manager/raft-node/index.js';
import { AesGcm, CryptoRandom } from '../../src/platform/index.js';

const HEADER_BYTES = 64;
const RECORD_HEADER_BYTES = 24;
const KIND_ENTRY = 2;

/**
 * The cluster object as a manager's log first records it, secrets included: by `docs/log-format.md`, from the
 * files of a node that is not locked.
 */
export function clusterInLog(stateDir: string): Cluster {
  const key = readFileSync(`${stateDir}/certificates/swarm-node.key`, 'utf8');
  const dek = Buffer.from(/^raft-dek: (.+)$/m.exec(key)?.[1] ?? '', 'base64');
  const cipher = new AuthenticatedCipher({ dek }, { aead: new AesGcm(), random: new CryptoRandom() });
  for (const payload of entryPayloads(`${stateDir}/raft/wal`)) {
    const { Data: data, Type: type } = fromBinary(raftpb.EntrySchema, payload);
    if (data.length === 0 || type !== raftpb.EntryType.EntryNormal) continue;
    for (const { target } of fromBinary(InternalRaftRequestSchema, cipher.open(data)).action) {
      if (target.case === 'cluster') return target.value;
    }
  }
  throw new Error(`the log in ${stateDir} holds no cluster`);
}

function* entryPayloads(directory: string): Generator<Uint8Array> {
  for (const name of readdirSync(directory).sort()) {
    const bytes = readFileSync(`${directory}/${name}`);
    let at = HEADER_BYTES;
    while (at + RECORD_HEADER_BYTES <= bytes.length && bytes.readUInt8(at + 16) !== 0) {
      const length = bytes.readUInt32LE(at + 4);
      const begin = at + RECORD_HEADER_BYTES;
      if (bytes.readUInt8(at + 16) === KIND_ENTRY) yield bytes.subarray(begin, begin + length);
      at = begin + Math.ceil(length / 8) * 8;
    }
  }
}
