import fc from 'fast-check';

const text = fc.string({ minLength: 1, maxLength: 8 });
const texts = fc.array(text, { minLength: 1, maxLength: 3 });
const textMap = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 5 }).filter((key) => key !== '__proto__'),
  fc.string({ maxLength: 5 }),
  {
    minKeys: 1,
    maxKeys: 3,
    noNullPrototype: true,
  },
);
const number = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const big = fc.oneof(number, fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 63n - 1n }));
const yes = fc.constant(true);
const some = (
  fields: Record<string, fc.Arbitrary<unknown>>,
  requiredKeys: readonly string[] = [],
): fc.Arbitrary<object> => fc.record(fields, { requiredKeys: [...requiredKeys], noNullPrototype: true });
const list = (item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown[]> => fc.array(item, { minLength: 1, maxLength: 2 });
const all = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> =>
  fc.record(fields, { noNullPrototype: true });

const driver = some({ Name: text, Options: textMap });
const file = all({ Name: text, UID: text, GID: text, Mode: number });
const mount = fc.oneof(
  some(
    {
      Type: fc.constant('bind'),
      Source: text,
      Target: text,
      ReadOnly: yes,
      BindOptions: some(
        {
          Propagation: fc.constantFrom('rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'),
          NonRecursive: yes,
          CreateMountpoint: yes,
          ReadOnlyNonRecursive: yes,
          ReadOnlyForceRecursive: yes,
        },
        ['Propagation'],
      ),
    },
    ['Type'],
  ),
  some(
    {
      Type: fc.constantFrom('volume', 'cluster', 'npipe'),
      Source: text,
      Target: text,
      VolumeOptions: some({ NoCopy: yes, Labels: textMap, Subpath: text, DriverConfig: driver }),
    },
    ['Type'],
  ),
  some(
    {
      Type: fc.constant('tmpfs'),
      Target: text,
      TmpfsOptions: some({ SizeBytes: big, Mode: number, Options: list(texts) }),
    },
    ['Type'],
  ),
);
const privileges = some(
  {
    CredentialSpec: fc.oneof(
      fc.constant(null),
      ...(['Config', 'File', 'Registry'] as const).map((key) =>
        text.map((value) => ({ Config: '', File: '', Registry: '', [key]: value })),
      ),
    ),
    SELinuxContext: fc.oneof(
      fc.constant(null),
      all({ Disable: fc.boolean(), User: text, Role: text, Type: text, Level: text }),
    ),
    Seccomp: some(
      {
        Mode: fc.constantFrom('default', 'unconfined', 'custom'),
        Profile: fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes).toString('base64')),
      },
      ['Mode'],
    ),
    AppArmor: all({ Mode: fc.constantFrom('default', 'disabled') }),
    NoNewPrivileges: yes,
  },
  ['CredentialSpec', 'SELinuxContext'],
);
const containerSpec = some(
  {
    Image: text,
    Labels: textMap,
    Command: texts,
    Args: texts,
    Hostname: text,
    Env: texts,
    Dir: text,
    User: text,
    Groups: texts,
    Privileges: privileges,
    Init: fc.boolean(),
    StopSignal: text,
    TTY: yes,
    OpenStdin: yes,
    ReadOnly: yes,
    Mounts: list(mount),
    StopGracePeriod: fc.oneof(fc.constant(0), big),
    Healthcheck: some({
      Test: texts,
      Interval: big,
      Timeout: big,
      StartPeriod: big,
      StartInterval: big,
      Retries: number,
    }),
    Hosts: texts,
    DNSConfig: some({ Nameservers: texts, Search: texts, Options: texts }),
    Secrets: list(all({ File: file, SecretID: text, SecretName: text })),
    Configs: list(
      fc.oneof(
        all({ File: file, ConfigID: text, ConfigName: text }),
        all({ Runtime: fc.constant({}), ConfigID: text, ConfigName: text }),
      ),
    ),
    Isolation: fc.constantFrom('default', 'process', 'hyperv'),
    Sysctls: textMap,
    CapabilityAdd: texts,
    CapabilityDrop: texts,
    Ulimits: list(all({ Name: text, Soft: fc.constant(-1), Hard: big })),
    OomScoreAdj: fc.integer({ min: -1000, max: -1 }),
  },
  ['Isolation'],
);
const generic = fc.oneof(
  all({ DiscreteResourceSpec: all({ Kind: text, Value: big }) }),
  all({ NamedResourceSpec: all({ Kind: text, Value: text }) }),
);
const amounts = { NanoCPUs: big, MemoryBytes: big, GenericResources: list(generic) };
const taskTemplate = some(
  {
    ContainerSpec: containerSpec,
    Resources: some(
      {
        Limits: some({ NanoCPUs: big, MemoryBytes: number, Pids: number }, ['MemoryBytes']),
        Reservations: some(amounts),
        SwapBytes: fc.constantFrom(-1, 5),
        MemorySwappiness: fc.nat(100),
      },
      ['Limits'],
    ),
    RestartPolicy: some(
      { Condition: fc.constantFrom('none', 'on-failure', 'any'), Delay: big, MaxAttempts: fc.nat(), Window: big },
      ['Condition', 'MaxAttempts'],
    ),
    Placement: some({
      Constraints: texts,
      Preferences: list(all({ Spread: all({ SpreadDescriptor: text }) })),
      MaxReplicas: number,
      Platforms: list(some({ Architecture: text, OS: text })),
    }),
    Networks: list(some({ Target: text, Aliases: texts, DriverOpts: textMap })),
    LogDriver: driver,
    ForceUpdate: fc.nat(),
    Runtime: fc.constant('container'),
  },
  ['ContainerSpec', 'ForceUpdate', 'Runtime'],
);
const updateConfig = some(
  {
    Parallelism: fc.nat(),
    Delay: big,
    FailureAction: fc.constantFrom('pause', 'continue', 'rollback'),
    Monitor: big,
    MaxFailureRatio: fc.constantFrom(0, 0.1, 0.25, 0.3, 1),
    Order: fc.constantFrom('stop-first', 'start-first'),
  },
  ['Parallelism', 'FailureAction', 'MaxFailureRatio', 'Order'],
);
/** Service specs in the form in which they are shown: nothing that the engine would fill in or leave out. */
export const serviceSpecJson = some(
  {
    Name: text,
    Labels: fc.oneof(textMap, fc.constant({})),
    TaskTemplate: taskTemplate,
    Mode: fc.oneof(
      all({ Replicated: all({ Replicas: fc.oneof(fc.constant(0), big) }) }),
      fc.constant({ Global: {} }),
      all({ ReplicatedJob: all({ MaxConcurrent: big, TotalCompletions: big }) }),
      fc.constant({ GlobalJob: {} }),
    ),
    UpdateConfig: updateConfig,
    RollbackConfig: updateConfig,
    EndpointSpec: some(
      {
        Mode: fc.constantFrom('vip', 'dnsrr'),
        Ports: list(
          some(
            {
              Name: text,
              Protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
              TargetPort: number,
              PublishedPort: number,
              PublishMode: fc.constantFrom('ingress', 'host'),
            },
            ['Protocol', 'PublishMode'],
          ),
        ),
      },
      ['Mode'],
    ),
  },
  ['Name', 'Labels', 'TaskTemplate', 'Mode'],
);
