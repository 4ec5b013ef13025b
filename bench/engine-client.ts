import { Agent, request } from 'node:http';

/** How long an answer may take, in milliseconds. */
const TIMEOUT_MS = 120_000;

/** Calls a Docker Engine API on a unix socket. */
export class EngineClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  constructor(readonly socketPath: string) {}

  get<T>(path: string): Promise<T> {
    return this.#call<T>('GET', path);
  }

  post<T>(path: string, body: object): Promise<T> {
    return this.#call<T>('POST', path, body);
  }

  async delete(path: string): Promise<void> {
    await this.#call('DELETE', path);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #call<T>(method: string, path: string, body?: object): Promise<T> {
    const { status, text } = await this.#exchange(method, path, body === undefined ? undefined : JSON.stringify(body));
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    const trimmed = text.trim();
    return (
      trimmed.startsWith('{') || trimmed.startsWith('[') || trimmed.startsWith('"') ? JSON.parse(trimmed) : trimmed
    ) as T;
  }

  #exchange(method: string, path: string, body: string | undefined): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const headers =
        body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
      const options = { socketPath: this.socketPath, method, path, headers, agent: this.#agent, timeout: TIMEOUT_MS };
      const call = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      });
      call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer within ${TIMEOUT_MS} ms`)));
      call.on('error', reject);
      call.end(body);
    });
  }
}
