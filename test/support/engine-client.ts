import { request } from 'node:http';

/** An answer of the Engine API. */
export interface EngineAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** What a request carries beside method and path. */
export interface EngineRequest {
  /** A text is sent as it is, bytes as a tar, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Requests to a Docker Engine API on a Unix socket, one connection each. */
export class EngineClient {
  constructor(readonly socketPath: string) {}

  /** The answer, whatever its status. */
  request(
    method: string,
    path: string,
    { body, headers = {}, timeoutMs = 20_000 }: EngineRequest = {},
  ): Promise<EngineAnswer> {
    const isRaw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
    const payload = isRaw ? body : JSON.stringify(body);
    const type: Record<string, string> =
      payload === undefined ? {} : { 'content-type': Buffer.isBuffer(body) ? 'application/x-tar' : 'application/json' };
    return new Promise((resolve, reject) => {
      const call = request(
        {
          socketPath: this.socketPath,
          method,
          path,
          agent: false,
          headers: { host: 'docker', ...type, ...headers },
          signal: AbortSignal.timeout(timeoutMs),
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
          response.on('error', reject);
        },
      );
      call.on('error', reject);
      call.end(payload);
    });
  }

  /** The answer's JSON; fails for a status that is not 2xx. */
  async json<T>(method: string, path: string, given: EngineRequest = {}): Promise<T> {
    const { status, text } = await this.request(method, path, given);
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${text.trim()}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }
}
