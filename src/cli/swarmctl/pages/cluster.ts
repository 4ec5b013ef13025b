import { ExternalCA_CAProtocol, type Cluster } from '../../../api/index.js';
import { ago, humanDuration } from '../render/human.js';
import { entry, section, type PageLine } from '../render/page.js';
import { driverLines } from './driver.js';

/** The page about the cluster. @param health state of each health-checked service by its name. */
export function clusterPage(
  cluster: Cluster,
  health: readonly (readonly [service: string, state: string])[],
  nowMs: number,
): readonly PageLine[] {
  const { spec, rootCa } = cluster;
  return [
    ...entry(0, 'ID', cluster.id),
    ...entry(0, 'Name', spec?.annotations?.name),
    ...entry(0, 'Created', ago(cluster.meta?.createdAt, nowMs)),
    ...section(
      0,
      'Health',
      health.flatMap(([service, state]) => entry(1, service, state)),
    ),
    ...section(0, 'Orchestration settings', [
      ...entry(1, 'Task history entries', spec?.orchestration?.taskHistoryRetentionLimit),
    ]),
    ...section(0, 'Dispatcher settings', [
      ...entry(1, 'Heartbeat period', humanDuration(spec?.dispatcher?.heartbeatPeriod)),
    ]),
    ...section(0, 'Raft settings', [
      ...entry(1, 'Snapshot interval', spec?.raft?.snapshotInterval),
      ...entry(1, 'Heartbeat tick', spec?.raft?.heartbeatTick),
      ...entry(1, 'Election tick', spec?.raft?.electionTick),
    ]),
    ...section(0, 'Certificate authority settings', [
      ...entry(1, 'Certificate validity', humanDuration(spec?.caConfig?.nodeCertExpiry)),
      ...(spec?.caConfig?.externalCas ?? []).flatMap(({ protocol, url }) =>
        entry(1, 'External CA', `${(ExternalCA_CAProtocol[protocol] ?? '').toLowerCase()} ${url}`),
      ),
      ...entry(1, 'Root digest', rootCa?.caCertHash),
      ...entry(1, 'Root rotation', rootCa?.rootRotation === undefined ? '' : 'under way'),
    ]),
    ...section(0, 'Join tokens', [
      ...entry(1, 'Worker', rootCa?.joinTokens?.worker),
      ...entry(1, 'Manager', rootCa?.joinTokens?.manager),
    ]),
    ...entry(0, 'Managers locked', spec?.encryptionConfig?.autoLockManagers === true ? 'yes' : 'no'),
    ...entry(0, 'Address pools', cluster.defaultAddressPool.join(', ')),
    ...entry(0, 'Subnet size', cluster.subnetSize),
    ...entry(0, 'Data path port', cluster.VXLANUDPPort),
    ...section(0, 'Default log driver', driverLines(1, spec?.taskDefaults?.logDriver)),
  ];
}
