import { createCipheriv, createDecipheriv } from 'node:crypto';

import type { Aead } from '../manager/index.js';

const TAG_BYTES = 16;

/** AES-256-GCM: for one key, nonce and text always the same. The one instance; it holds nothing. */
export const SIM_AEAD: Aead = {
  seal(key, nonce, plain) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    return new Uint8Array(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]));
  },

  open(key, nonce, sealed) {
    if (sealed.length < TAG_BYTES || nonce.length === 0) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    try {
      return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]));
    } catch {
      return undefined;
    }
  },
};
