/** A request as a handler sees it, independent of the server that took it in. */
export interface HttpRequest {
  readonly method: string;
  /** Path without the version prefix, as it was sent. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Keys in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** API version in force: the one in the path, or the server's newest. */
  readonly version: ApiVersion;
  /** Parameters taken from the path. */
  readonly params: Readonly<Record<string, string>>;
  /** The whole body, read once; ResourceExhausted (413) when over the limit. */
  body(): Promise<Uint8Array>;
  /** Aborts when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

/** What a handler answers. A streamed body is pulled; headers go out before its first chunk. */
export interface HttpResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array | string>;
}

/** Handles a request; errors thrown become Docker's error body. */
export type HttpHandler = (request: HttpRequest) => Promise<HttpResponse>;

/** A version of the Engine API, `major.minor`. */
export class ApiVersion {
  private constructor(
    readonly major: number,
    readonly minor: number,
    readonly text: string,
  ) {}

  /** Parses digits and dots as Docker does: missing parts count as 0. */
  static parse(text: string): ApiVersion {
    const [major = '0', minor = '0'] = text.split('.');
    return new ApiVersion(Number(major || '0'), Number(minor || '0'), text);
  }

  /** Whether this version is older than `other`, given as text. */
  lessThan(other: string): boolean {
    const that = ApiVersion.parse(other);
    return this.major === that.major ? this.minor < that.minor : this.major < that.major;
  }
}
