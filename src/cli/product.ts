import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

/** Version of this product, from its package. */
export const PRODUCT_VERSION = manifest.version;

/** Newest version of the Docker Engine API that is served. */
export const API_VERSION = '1.51';

/** Oldest version of the Docker Engine API that is served. */
export const MIN_API_VERSION = '1.24';
