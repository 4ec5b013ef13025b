import { create } from '@bufbuild/protobuf';

import { ExternalCA_CAProtocol, ExternalCASchema, type ExternalCA } from '../../../api/index.js';
import { badValue } from '../usage-error.js';
import { splitList } from './csv.js';
import { splitPair } from './pairs.js';

/** A signing service outside the cluster: `protocol=cfssl,url=https://…[,key=value]`. */
export function parseExternalCa(flag: string, text: string): ExternalCA {
  const fields = splitList(flag, text).map(splitPair);
  const find = (wanted: string): string | undefined =>
    fields.find(([key]) => key.toLowerCase() === wanted)?.[1]?.trim();
  const url = find('url') ?? '';
  if (fields.some(([, value]) => value === undefined) || find('protocol')?.toLowerCase() !== 'cfssl' || url === '') {
    throw badValue(flag, text, 'write protocol=cfssl,url=https://… and further key=value');
  }
  const options = fields.filter(([key]) => !['protocol', 'url'].includes(key.toLowerCase()));
  return create(ExternalCASchema, {
    protocol: ExternalCA_CAProtocol.CFSSL,
    url,
    options: Object.fromEntries(options.map(([key, value]) => [key, value ?? ''])),
  });
}
