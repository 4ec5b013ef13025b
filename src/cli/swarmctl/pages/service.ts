import {
  EndpointSpec_ResolutionMode,
  Mount_Type,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  RestartPolicy_RestartCondition,
  UpdateConfig_FailureAction,
  UpdateConfig_UpdateOrder,
  UpdateStatus_UpdateState,
  type ContainerSpec,
  type PortConfig,
  type Resources,
  type Service,
  type ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from '../../../api/index.js';
import { ago, humanCpus, humanDuration, humanSize } from '../render/human.js';
import { entry, pairs, section, type PageLine } from '../render/page.js';
import type { Names } from '../names.js';
import { driverLines } from './driver.js';
import { modeName, replicasText, type Counts } from './replicas.js';

/** The page about a service. @param networks names of networks by id. */
export function servicePage(service: Service, counts: Counts, networks: Names, nowMs: number): readonly PageLine[] {
  const { spec } = service;
  return [
    ...entry(0, 'ID', service.id),
    ...entry(0, 'Name', spec?.annotations?.name),
    ...section(0, 'Labels', pairs(1, spec?.annotations?.labels ?? {})),
    ...entry(0, 'Mode', modeName(service)),
    ...entry(0, 'Replicas', replicasText(service, counts)),
    ...entry(0, 'Created', ago(service.meta?.createdAt, nowMs)),
    ...entry(0, 'Updated', ago(service.meta?.updatedAt, nowMs)),
    ...section(0, 'Update status', statusLines(service, nowMs)),
    ...section(0, 'Container', containerLines(spec?.task)),
    ...section(0, 'Placement', placementLines(spec?.task)),
    ...section(0, 'Reservations', amountLines(spec?.task?.resources?.reservations)),
    ...section(0, 'Limits', amountLines(spec?.task?.resources?.limits)),
    ...section(0, 'Restart policy', restartLines(spec?.task)),
    ...section(0, 'Update', updateLines(spec?.update)),
    ...section(0, 'Rollback', updateLines(spec?.rollback)),
    ...section(0, 'Log driver', driverLines(1, spec?.task?.logDriver)),
    ...entry(
      0,
      'Networks',
      networkTargets(spec)
        .map((id) => networks.get(id) ?? id)
        .join(', '),
    ),
    ...section(0, 'Endpoint', endpointLines(service)),
  ];
}

/** Ids of the networks that a service's tasks are attached to. */
export function networkTargets(spec: ServiceSpec | undefined): readonly string[] {
  const own = spec?.task?.networks ?? [];
  return (own.length > 0 ? own : (spec?.networks ?? [])).map(({ target }) => target);
}

/** `*:8080->80/tcp`, or `80/tcp` where no port was published. */
export function portText({ name, publishedPort, targetPort, protocol, publishMode }: PortConfig): string {
  const target = `${targetPort}/${(PortConfig_Protocol[protocol] ?? '').toLowerCase()}`;
  const published = publishedPort === 0 ? target : `*:${publishedPort}->${target}`;
  const mode = publishMode === PortConfig_PublishMode.HOST ? ' on each node' : '';
  return `${name === '' ? '' : `${name} `}${published}${mode}`;
}

function statusLines({ updateStatus }: Service, nowMs: number): readonly PageLine[] {
  if (updateStatus === undefined) return [];
  return [
    ...entry(1, 'State', UpdateStatus_UpdateState[updateStatus.state]),
    ...entry(1, 'Started', ago(updateStatus.startedAt, nowMs)),
    ...entry(1, 'Completed', ago(updateStatus.completedAt, nowMs)),
    ...entry(1, 'Message', updateStatus.message),
  ];
}

function containerLines(task: TaskSpec | undefined): readonly PageLine[] {
  if (task?.runtime.case !== 'container') return [];
  const container = task.runtime.value;
  return [
    ...entry(1, 'Image', container.image),
    ...entry(1, 'Command', words(container.command)),
    ...entry(1, 'Args', words(container.args)),
    ...entry(1, 'Env', words(container.env)),
    ...entry(1, 'Directory', container.dir),
    ...entry(1, 'User', container.user),
    ...entry(1, 'Hostname', container.hostname),
    ...entry(1, 'Init', container.init === undefined ? '' : yesNo(container.init)),
    ...entry(1, 'TTY', container.tty ? 'yes' : ''),
    ...entry(1, 'Open stdin', container.openStdin ? 'yes' : ''),
    ...entry(1, 'Read-only', container.readOnly ? 'yes' : ''),
    ...entry(1, 'Stop grace period', humanDuration(container.stopGracePeriod)),
    ...entry(1, 'OOM score adjustment', container.oomScoreAdj === 0n ? '' : container.oomScoreAdj),
    ...entry(1, 'Capabilities added', container.capabilityAdd.join(', ')),
    ...entry(1, 'Capabilities dropped', container.capabilityDrop.join(', ')),
    ...entry(1, 'Ulimits', container.ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`).join(', ')),
    ...section(1, 'Mounts', mountLines(container)),
    ...section(1, 'Secrets', payloadLines(container, 'secrets')),
    ...section(1, 'Configs', payloadLines(container, 'configs')),
  ];
}

function mountLines({ mounts }: ContainerSpec): readonly PageLine[] {
  return mounts.map(({ type, source, target, readonly }) => {
    const from = source === '' ? '' : ` ${source}`;
    return {
      depth: 2,
      label: target,
      value: `${(Mount_Type[type] ?? '').toLowerCase()}${from}${readonly ? ', read-only' : ''}`,
    };
  });
}

function payloadLines(container: ContainerSpec, kind: 'secrets' | 'configs'): readonly PageLine[] {
  const references =
    kind === 'secrets'
      ? container.secrets.map(({ secretName: name, secretId: id, target }) => ({ name, id, target }))
      : container.configs.map(({ configName: name, configId: id, target }) => ({ name, id, target }));
  return references.map(({ name, id, target }) => ({
    depth: 2,
    label: name,
    value: target.case === 'file' ? `file ${target.value.name} (${id})` : `for the runtime (${id})`,
  }));
}

function placementLines(task: TaskSpec | undefined): readonly PageLine[] {
  const { placement } = task ?? {};
  if (placement === undefined) return [];
  const spreads = placement.preferences.map(({ Preference }) =>
    Preference.case === 'spread' ? `spread over ${Preference.value.spreadDescriptor}` : '',
  );
  return [
    ...entry(1, 'Constraints', placement.constraints.join(', ')),
    ...entry(1, 'Preferences', spreads.join(', ')),
    ...entry(1, 'Replicas per node', placement.maxReplicas === 0n ? '' : placement.maxReplicas),
    ...entry(1, 'Platforms', placement.platforms.map(({ os, architecture }) => `${os}/${architecture}`).join(', ')),
  ];
}

/** Lines of an amount of resources. */
export function amountLines(resources: Resources | undefined): readonly PageLine[] {
  if (resources === undefined) return [];
  const generic = new Map<string, string>();
  for (const { resource } of resources.generic) {
    if (resource.case === undefined) continue;
    const { kind } = resource.value;
    const value = String(resource.value.value);
    generic.set(kind, generic.has(kind) ? `${generic.get(kind)}, ${value}` : value);
  }
  return [
    ...entry(1, 'CPUs', resources.nanoCpus === 0n ? '' : humanCpus(resources.nanoCpus)),
    ...entry(1, 'Memory', resources.memoryBytes === 0n ? '' : humanSize(resources.memoryBytes)),
    ...[...generic].flatMap(([kind, value]) => entry(1, kind, value)),
  ];
}

function restartLines(task: TaskSpec | undefined): readonly PageLine[] {
  const { restart } = task ?? {};
  if (restart === undefined) return [];
  return [
    ...entry(1, 'Condition', RestartPolicy_RestartCondition[restart.condition]?.toLowerCase().replace('_', '-')),
    ...entry(1, 'Delay', humanDuration(restart.delay)),
    ...entry(1, 'Max attempts', restart.maxAttempts === 0n ? '' : restart.maxAttempts),
    ...entry(1, 'Window', humanDuration(restart.window)),
  ];
}

function updateLines(config: UpdateConfig | undefined): readonly PageLine[] {
  if (config === undefined) return [];
  return [
    ...entry(1, 'Parallelism', config.parallelism === 0n ? 'all at once' : config.parallelism),
    ...entry(1, 'Delay', humanDuration(config.delay)),
    ...entry(1, 'On failure', UpdateConfig_FailureAction[config.failureAction]?.toLowerCase()),
    ...entry(1, 'Order', UpdateConfig_UpdateOrder[config.order]?.toLowerCase().replace('_', '-')),
    ...entry(1, 'Monitor', humanDuration(config.monitor)),
    ...entry(
      1,
      'Max failure ratio',
      config.maxFailureRatio === 0 ? '' : String(Number(config.maxFailureRatio.toPrecision(6))),
    ),
  ];
}

function endpointLines({ endpoint, spec }: Service): readonly PageLine[] {
  const ports = endpoint?.ports ?? spec?.endpoint?.ports ?? [];
  const addresses = (endpoint?.virtualIps ?? []).map(({ addr }) => addr).filter((addr) => addr !== '');
  const mode = spec?.endpoint?.mode ?? EndpointSpec_ResolutionMode.VIP;
  if (ports.length === 0 && addresses.length === 0) return [];
  return [
    ...entry(1, 'Mode', EndpointSpec_ResolutionMode[mode]?.toLowerCase()),
    ...entry(1, 'Ports', ports.map(portText).join(', ')),
    ...entry(1, 'Addresses', addresses.join(', ')),
  ];
}

/** Words as one would type them: those with blanks or quotes in JSON's quotes. */
export function words(list: readonly string[]): string {
  return list.map((word) => (/^[^\s"']+$/.test(word) ? word : JSON.stringify(word))).join(' ');
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
