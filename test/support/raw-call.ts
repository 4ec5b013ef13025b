import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { within } from './wait.js';

const TIMEOUT_MS = 10_000;

/** A certificate to show, with its key; nothing of the server is verified. */
export interface ShownCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** How a raw call ended: gRPC status and message, or a broken connection. */
export interface RawOutcome {
  /** -1: the stream or the connection broke. */
  readonly status: number;
  readonly message: string;
}

/** A gRPC frame of these bytes; the length may lie. */
export function frame(payload: Uint8Array, length = payload.length, flags = 0): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flags, 0);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, payload]);
}

/** Calls on one HTTP/2 connection whose bytes a test chooses itself. */
export class RawConnection implements Disposable {
  readonly #session: ClientHttp2Session;

  constructor(addr: string, certificate?: ShownCertificate) {
    this.#session = connect(`https://${addr}`, {
      rejectUnauthorized: false,
      servername: 'swarm-manager',
      ...(certificate === undefined ? {} : { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
    });
    // Every call reports the failure of its own stream.
    this.#session.on('error', () => undefined);
  }

  /** Sends a call with this body and waits for its end. */
  call(path: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<RawOutcome> {
    const outcome = new Promise<RawOutcome>((resolve) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      const take = (fields: IncomingHttpHeaders): void => {
        const { 'grpc-status': status, 'grpc-message': message = '' } = fields;
        if (typeof status !== 'string' || typeof message !== 'string') return;
        resolve({ status: Number(status), message: decodeURIComponent(message) });
      };
      stream.on('response', take);
      stream.on('trailers', take);
      stream.on('error', (error) => resolve({ status: -1, message: error.message }));
      stream.on('close', () => resolve({ status: -1, message: 'closed' }));
      stream.resume();
      stream.end(body);
    });
    return within(TIMEOUT_MS, path, outcome);
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}

/** Sends bytes over TCP, or over TLS, and waits until the other side has closed or nothing happened for a while. */
export function sendBytes(addr: string, bytes: Uint8Array, tls: boolean, quietMs = 500): Promise<void> {
  const [host = '', port = ''] = addr.split(':');
  const socket = tls
    ? connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    : connectTcp({ host, port: Number(port) });
  return new Promise((resolve) => {
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.on(tls ? 'secureConnect' : 'connect', () => socket.write(bytes));
    socket.resume();
  });
}
