import { webcrypto } from 'node:crypto';

import type { WebCrypto } from '../ca/index.js';

/** The runtime's own cryptography (OpenSSL). */
export const WEB_CRYPTO: WebCrypto = webcrypto;
