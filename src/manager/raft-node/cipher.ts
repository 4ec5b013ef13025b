import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { MaybeEncryptedRecord_Algorithm, MaybeEncryptedRecordSchema } from '../../api/index.js';
import { Code, type Random, SwarmError } from '../../base/index.js';

/** Bytes of a data encryption key. */
export const DEK_BYTES = 32;

/** A nonce of AES-GCM, drawn at random for each piece. */
const NONCE_BYTES = 12;

/** Seals what the log and the snapshots hold, each piece in an envelope that names its algorithm. */
export interface EntryCipher {
  /** The encoded envelope (`MaybeEncryptedRecord`) of `plain`. */
  seal(plain: Uint8Array): Uint8Array;
  /** @throws SwarmError FailedPrecondition when no key fits, DataLoss when it is no envelope. */
  open(envelope: Uint8Array): Uint8Array;
}

/** Authenticated encryption; `platform` implements it. */
export interface Aead {
  /** The ciphertext, followed by its tag. */
  seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array;
  /** The plain text; undefined when the tag does not fit. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

/** Writes plain envelopes. For tests, and where no key is given. */
export class PlainCipher implements EntryCipher {
  seal(plain: Uint8Array): Uint8Array {
    const record = create(MaybeEncryptedRecordSchema, { algorithm: MaybeEncryptedRecord_Algorithm.NONE, data: plain });
    return toBinary(MaybeEncryptedRecordSchema, record);
  }

  open(envelope: Uint8Array): Uint8Array {
    const record = parseEnvelope(envelope);
    if (record.algorithm !== MaybeEncryptedRecord_Algorithm.NONE)
      throw wrongKey('it is encrypted, and no key was given');
    return record.data;
  }
}

/** Which keys an {@link AuthenticatedCipher} uses. */
export interface AuthenticatedCipherOptions {
  /** The key that seals: {@link DEK_BYTES} bytes. */
  readonly dek: Uint8Array;
  /** Keys that are only tried when opening, while a rotation has not reached the whole log. */
  readonly olderDeks?: readonly Uint8Array[];
}

/** Encrypts with the node's data encryption key. Refuses plain envelopes, as SwarmKit does. */
export class AuthenticatedCipher implements EntryCipher {
  readonly #deks: readonly [Uint8Array, ...(readonly Uint8Array[])];

  constructor(
    options: AuthenticatedCipherOptions,
    readonly deps: { readonly aead: Aead; readonly random: Random },
  ) {
    this.#deks = [options.dek, ...(options.olderDeks ?? [])];
    for (const dek of this.#deks) {
      if (dek.length !== DEK_BYTES) {
        throw new SwarmError(Code.INVALID_ARGUMENT, `dek: must have ${DEK_BYTES} bytes, has ${dek.length}`);
      }
    }
  }

  seal(plain: Uint8Array): Uint8Array {
    const nonce = this.deps.random.bytes(NONCE_BYTES);
    const data = this.deps.aead.seal(this.#deks[0], nonce, plain);
    return encodeEnvelope(MaybeEncryptedRecord_Algorithm.AES_256_GCM, data, nonce);
  }

  open(envelope: Uint8Array): Uint8Array {
    const record = parseEnvelope(envelope);
    if (record.algorithm !== MaybeEncryptedRecord_Algorithm.AES_256_GCM)
      throw wrongKey(`it was written with another algorithm (${record.algorithm})`);
    for (const dek of this.#deks) {
      const plain = this.deps.aead.open(dek, record.nonce, record.data);
      if (plain !== undefined) return plain;
    }
    throw wrongKey('the key of this node is not the one that it was written with');
  }
}

const { algorithm: ALGORITHM, data: DATA, nonce: NONCE } = MaybeEncryptedRecordSchema.field;

/** Written here, as the general encoder grows its buffer by doubling: pieces are large, and there are many. */
function encodeEnvelope(algorithm: MaybeEncryptedRecord_Algorithm, data: Uint8Array, nonce: Uint8Array): Uint8Array {
  const head = new BinaryWriter()
    .tag(ALGORITHM.number, WireType.Varint)
    .int32(algorithm)
    .tag(DATA.number, WireType.LengthDelimited)
    .uint32(data.length)
    .finish();
  const tail = new BinaryWriter().tag(NONCE.number, WireType.LengthDelimited).bytes(nonce).finish();
  const envelope = new Uint8Array(head.length + data.length + tail.length);
  envelope.set(head);
  envelope.set(data, head.length);
  envelope.set(tail, head.length + data.length);
  return envelope;
}

function parseEnvelope(envelope: Uint8Array): {
  algorithm: MaybeEncryptedRecord_Algorithm;
  data: Uint8Array;
  nonce: Uint8Array;
} {
  try {
    return fromBinary(MaybeEncryptedRecordSchema, envelope);
  } catch (error) {
    throw new SwarmError(Code.DATA_LOSS, 'the log holds a record that is no envelope', { cause: error });
  }
}

function wrongKey(why: string): SwarmError {
  return new SwarmError(
    Code.FAILED_PRECONDITION,
    `the log cannot be decrypted: ${why}. Restore the node's certificate directory that belongs to it`,
  );
}
