/** Flags that create and update share, as given: undefined where not given. Lists are split already. */
export interface ServiceFlags {
  readonly name?: string;
  readonly label?: readonly string[];
  readonly addLabel?: readonly string[];
  readonly rmLabel?: readonly string[];
  readonly mode?: string;
  readonly replicas?: string;
  readonly replicasMaxPerNode?: string;
  readonly image?: string;
  readonly hostname?: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly dir?: string;
  readonly user?: string;
  readonly tty?: boolean;
  readonly openStdin?: boolean;
  readonly readOnly?: boolean;
  readonly init?: boolean;
  readonly stopGracePeriod?: string;
  readonly oomScoreAdj?: string;
  readonly ports?: readonly string[];
  readonly publishMode?: string;
  readonly network?: readonly string[];
  readonly memoryReservation?: string;
  readonly memoryLimit?: string;
  readonly cpuReservation?: string;
  readonly cpuLimit?: string;
  readonly genericResources?: string;
  readonly ulimit?: readonly string[];
  readonly updateParallelism?: string;
  readonly updateDelay?: string;
  readonly updateOnFailure?: string;
  readonly updateOrder?: string;
  readonly updateMonitor?: string;
  readonly updateMaxFailureRatio?: string;
  readonly rollbackParallelism?: string;
  readonly rollbackDelay?: string;
  readonly rollbackOnFailure?: string;
  readonly rollbackOrder?: string;
  readonly rollbackMonitor?: string;
  readonly rollbackMaxFailureRatio?: string;
  readonly restartCondition?: string;
  readonly restartDelay?: string;
  readonly restartMaxAttempts?: string;
  readonly restartWindow?: string;
  readonly constraint?: readonly string[];
  readonly bind?: readonly string[];
  readonly volume?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly npipe?: readonly string[];
  readonly logDriver?: string;
  readonly logOpt?: readonly string[];
  readonly secret?: readonly string[];
  readonly config?: readonly string[];
  readonly addSecret?: readonly string[];
  readonly rmSecret?: readonly string[];
  readonly addConfig?: readonly string[];
  readonly rmConfig?: readonly string[];
  readonly addCapability?: readonly string[];
  readonly rmCapability?: readonly string[];
  readonly force?: boolean;
}

/** What flags refer to, looked up in the cluster before the spec is made. */
export interface References {
  /** Ids of networks, in the order of `--network`. */
  readonly networkIds: readonly string[];
  /** Ids of secrets and configs by name. */
  readonly secretIds: ReadonlyMap<string, string>;
  readonly configIds: ReadonlyMap<string, string>;
}

/** References of flags that refer to nothing. */
export const NO_REFERENCES: References = { networkIds: [], secretIds: new Map(), configIds: new Map() };
