/** Facts about the machine and the product that `/info` and `/version` show. */
export interface SystemInfo {
  readonly id: string;
  readonly hostname: string;
  readonly os: string;
  /** Architecture as Go names it (amd64, arm64). */
  readonly goArchitecture: string;
  /** Architecture as the kernel names it (x86_64, aarch64). */
  readonly kernelArchitecture: string;
  readonly operatingSystem: string;
  readonly kernelVersion: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Root of the engine's state. */
  readonly rootDir: string;
  /** Version of this product, and of the runtime under it. */
  readonly productVersion: string;
  readonly runtimeVersion: string;
  /** Newest and oldest API version served. */
  readonly apiVersion: string;
  readonly minApiVersion: string;
  /** Executor that runs this node's tasks. */
  readonly executor: string;
  readonly labels: readonly string[];
}
