import { create } from '@bufbuild/protobuf';

import {
  PortConfig_Protocol,
  PortConfigSchema,
  type PortConfig,
  type PortConfig_PublishMode,
} from '../../../api/index.js';
import { badValue } from '../usage-error.js';

const PROTOCOLS: Readonly<Record<string, PortConfig_Protocol>> = {
  tcp: PortConfig_Protocol.TCP,
  udp: PortConfig_Protocol.UDP,
  sctp: PortConfig_Protocol.SCTP,
};

const PORT_MAX = 65_535;

const ALLOWED =
  'write name:target[/protocol][:published[/protocol]] with ports up to 65535 and tcp, udp or sctp, such as web:80/tcp:8080/tcp';

/** A port `name:target[/protocol][:published[/protocol]]`, both with the same protocol. */
export function parsePort(flag: string, text: string, publishMode: PortConfig_PublishMode): PortConfig {
  const [name = '', targetText, publishedText, ...more] = text.split(':');
  const target = side(targetText);
  const published = publishedText === undefined ? undefined : side(publishedText);
  if (target === undefined || target.port === 0 || more.length > 0) throw badValue(flag, text, ALLOWED);
  if (publishedText !== undefined && published === undefined) throw badValue(flag, text, ALLOWED);
  if (published !== undefined && published.protocol !== target.protocol) {
    throw badValue(flag, text, 'target and published port must have the same protocol');
  }
  return create(PortConfigSchema, {
    name,
    protocol: target.protocol,
    targetPort: target.port,
    publishedPort: published?.port ?? 0,
    publishMode,
  });
}

function side(text: string | undefined): { readonly port: number; readonly protocol: PortConfig_Protocol } | undefined {
  const match = /^(\d{1,5})(?:\/([a-z]+))?$/i.exec(text ?? '');
  const port = Number(match?.[1]);
  const protocol = PROTOCOLS[(match?.[2] ?? 'tcp').toLowerCase()];
  return match === null || protocol === undefined || port > PORT_MAX ? undefined : { port, protocol };
}
