import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { joinHostPort, roleOf, type Caller } from '../../api/index.js';
import { certificateProblem } from './system-error.js';

/** What a connection proves about its caller. Read once, when the connection begins. */
export function callerOf(session: Http2Session): Caller {
  const socket = session.socket;
  const { remoteAddress = '', remotePort = 0 } = socket;
  // A socket that listens on IPv6 shows IPv4 callers as mapped addresses.
  const remoteAddr = joinHostPort(remoteAddress.replace(/^::ffff:(?=\d+\.)/, ''), remotePort);
  if (!isTls(socket)) return { peer: undefined, remoteAddr };
  const certificate = socket.getPeerCertificate();
  if (Object.keys(certificate).length === 0) return { peer: undefined, remoteAddr };
  if (!socket.authorized)
    return {
      peer: undefined,
      remoteAddr,
      certificateProblem: `the client certificate is not valid: ${certificateProblem(socket.authorizationError)}`,
    };
  const { CN, OU, O } = certificate.subject as Readonly<Record<string, string | readonly string[] | undefined>>;
  const nodeId = first(CN);
  const clusterId = first(O);
  const role = roleOf(OU === undefined ? [] : [OU].flat());
  if (nodeId === '' || clusterId === '' || role === undefined) {
    const problem = 'the client certificate names no node, role and cluster';
    return { peer: undefined, remoteAddr, certificateProblem: problem };
  }
  return { peer: { nodeId, role, clusterId }, remoteAddr };
}

/** The session shows its socket through a proxy, which knows no `in` and no `instanceof`. */
function isTls(socket: Socket | TLSSocket): socket is TLSSocket {
  return (socket as Partial<TLSSocket>).getPeerCertificate !== undefined;
}

function first(value: string | readonly string[] | undefined): string {
  return (typeof value === 'string' ? value : value?.[0]) ?? '';
}
