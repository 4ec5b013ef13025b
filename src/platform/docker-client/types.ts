/** `GET /info`, as far as it is used. */
export interface EngineInfo {
  readonly Name: string;
  readonly Architecture: string;
  readonly OSType: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly ServerVersion: string;
  readonly Labels: readonly string[] | null;
  readonly Plugins: {
    readonly Volume: readonly string[] | null;
    readonly Network: readonly string[] | null;
    readonly Authorization: readonly string[] | null;
    readonly Log: readonly string[] | null;
  };
  readonly GenericResources?: readonly EngineGenericResource[] | null;
}

/** A generic resource as the engine prints it. */
export interface EngineGenericResource {
  readonly NamedResourceSpec?: { readonly Kind: string; readonly Value: string };
  readonly DiscreteResourceSpec?: { readonly Kind: string; readonly Value: number };
}

/** A managed plugin of `GET /plugins`. */
export interface EnginePlugin {
  readonly Name: string;
  readonly Enabled: boolean;
  readonly Config?: {
    /** `docker.volumedriver/1.0`, or taken apart by older engines. */
    readonly Interface?: { readonly Types?: readonly (string | PluginType)[] | null };
  };
}

/** What a plugin is for. */
export interface PluginType {
  readonly Prefix: string;
  readonly Capability: string;
}

/** `GET /containers/{name}/json`, as far as it is used. */
export interface ContainerInspect {
  readonly Id: string;
  readonly State: {
    readonly Status: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error?: string;
    readonly Health?: { readonly Status: 'none' | 'starting' | 'healthy' | 'unhealthy' };
  };
  readonly Config: {
    readonly Tty: boolean;
    readonly Labels: Readonly<Record<string, string>> | null;
    readonly Healthcheck?: { readonly Test?: readonly string[] | null };
  };
  readonly NetworkSettings?: { readonly Ports?: PortMap | null };
}

/** Host ports by `port/protocol`. */
export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

/** Where a port of a container is bound. */
export interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort: string;
}

/** An event of `GET /events`. */
export interface EngineEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
}
