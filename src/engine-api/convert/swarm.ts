import { create } from '@bufbuild/protobuf';

import {
  AnnotationsSchema,
  ClusterSpecSchema,
  EncryptionConfigSchema,
  OrchestrationConfigSchema,
  TaskDefaultsSchema,
  durationFromNs,
  ExternalCA_CAProtocol,
  ExternalCASchema,
  nsFromDuration,
  type Cluster,
  type ClusterSpec,
  type ExternalCA,
  type NodeTLSInfo,
} from '../../api/index.js';
import { ApiError, type JsonObject } from '../http/index.js';
import { objectOf, optional } from './codec.js';
import { annotations, driver, objectHeader } from './common.js';
import { tlsInfoToJson } from './node.js';

/**
 * Reads a swarm spec. With a `base` (init) only what is given and not zero overrides it; without one
 * (update) the request is the complete spec (engine-api E-205, E-324).
 */
export function clusterSpecFromJson(json: JsonObject, base?: ClusterSpec): ClusterSpec {
  const start = base ?? create(ClusterSpecSchema);
  const orchestration = json.object('Orchestration') ?? objectOf(undefined, 'Orchestration');
  const encryption = json.object('EncryptionConfig') ?? objectOf(undefined, 'EncryptionConfig');
  const given = annotations.fromJson(json);
  const logDriver = optional(driver).decode(json.object('TaskDefaults') ?? objectOf(undefined, ''), 'LogDriver');
  return {
    ...start,
    annotations: create(AnnotationsSchema, {
      name: given.name || (start.annotations?.name ?? ''),
      labels: Object.keys(given.labels).length > 0 ? given.labels : (start.annotations?.labels ?? {}),
    }),
    orchestration: create(OrchestrationConfigSchema, {
      taskHistoryRetentionLimit:
        orchestration.optionalInteger('TaskHistoryRetentionLimit') ??
        start.orchestration?.taskHistoryRetentionLimit ??
        0n,
    }),
    raft: raftFromJson(json, start),
    dispatcher: dispatcherFromJson(json, start),
    caConfig: caConfigFromJson(json, start),
    encryptionConfig: create(EncryptionConfigSchema, { autoLockManagers: encryption.boolean('AutoLockManagers') }),
    ...(logDriver === undefined ? {} : { taskDefaults: create(TaskDefaultsSchema, { logDriver }) }),
  };
}

function raftFromJson(json: JsonObject, start: ClusterSpec): NonNullable<ClusterSpec['raft']> {
  const raft = json.object('Raft') ?? objectOf(undefined, 'Raft');
  return {
    $typeName: 'docker.swarmkit.v1.RaftConfig',
    snapshotInterval: raft.unsigned('SnapshotInterval') || (start.raft?.snapshotInterval ?? 0n),
    keepOldSnapshots: raft.optionalUnsigned('KeepOldSnapshots') ?? start.raft?.keepOldSnapshots ?? 0n,
    logEntriesForSlowFollowers:
      raft.unsigned('LogEntriesForSlowFollowers') || (start.raft?.logEntriesForSlowFollowers ?? 0n),
    heartbeatTick: raft.unsigned32('HeartbeatTick') || (start.raft?.heartbeatTick ?? 0),
    electionTick: raft.unsigned32('ElectionTick') || (start.raft?.electionTick ?? 0),
  };
}

function dispatcherFromJson(json: JsonObject, start: ClusterSpec): NonNullable<ClusterSpec['dispatcher']> {
  const period = json.object('Dispatcher')?.integer('HeartbeatPeriod') ?? 0n;
  const heartbeatPeriod = period === 0n ? start.dispatcher?.heartbeatPeriod : durationFromNs(period);
  return {
    $typeName: 'docker.swarmkit.v1.DispatcherConfig',
    ...(heartbeatPeriod === undefined ? {} : { heartbeatPeriod }),
  };
}

function caConfigFromJson(json: JsonObject, start: ClusterSpec): NonNullable<ClusterSpec['caConfig']> {
  const config = json.object('CAConfig') ?? objectOf(undefined, 'CAConfig');
  const expiry = config.integer('NodeCertExpiry');
  const nodeCertExpiry = expiry === 0n ? start.caConfig?.nodeCertExpiry : durationFromNs(expiry);
  const encoder = new TextEncoder();
  return {
    $typeName: 'docker.swarmkit.v1.CAConfig',
    ...(nodeCertExpiry === undefined ? {} : { nodeCertExpiry }),
    externalCas: [...(start.caConfig?.externalCas ?? []), ...config.objects('ExternalCAs').map(externalCaFromJson)],
    signingCaCert: encoder.encode(config.string('SigningCACert')),
    signingCaKey: encoder.encode(config.string('SigningCAKey')),
    forceRotate: config.unsigned('ForceRotate'),
  };
}

function externalCaFromJson(json: JsonObject): ExternalCA {
  const protocol = json.string('Protocol');
  if (protocol.toLowerCase() !== 'cfssl') {
    throw new ApiError('invalid-parameter', `invalid protocol: ${JSON.stringify(protocol)}`);
  }
  return create(ExternalCASchema, {
    protocol: ExternalCA_CAProtocol.CFSSL,
    url: json.string('URL'),
    options: json.stringMap('Options'),
    caCert: new TextEncoder().encode(json.string('CACert')),
  });
}

/** Subject and public key of the root's certificate, in DER. */
export type RootIssuer = Pick<NodeTLSInfo, 'certIssuerSubject' | 'certIssuerPublicKey'>;

/** What `docker info` shows of the swarm: no join tokens. */
export function clusterInfoToJson(cluster: Cluster, issuer: RootIssuer): Record<string, unknown> {
  return {
    ...objectHeader(cluster.id, cluster.meta),
    Spec: clusterSpecToJson(cluster.spec ?? create(ClusterSpecSchema)),
    TLSInfo: tlsInfoToJson({ ...issuer, trustRoot: cluster.rootCa?.caCert ?? new Uint8Array() }),
    RootRotationInProgress: cluster.rootCa?.rootRotation !== undefined,
    DefaultAddrPool: cluster.defaultAddressPool.length === 0 ? null : cluster.defaultAddressPool,
    SubnetSize: cluster.subnetSize,
    DataPathPort: cluster.VXLANUDPPort,
  };
}

/** The swarm with its join tokens. */
export function swarmToJson(cluster: Cluster, issuer: RootIssuer): Record<string, unknown> {
  const tokens = cluster.rootCa?.joinTokens;
  return {
    ...clusterInfoToJson(cluster, issuer),
    JoinTokens: { Worker: tokens?.worker ?? '', Manager: tokens?.manager ?? '' },
  };
}

function clusterSpecToJson(spec: ClusterSpec): Record<string, unknown> {
  const { raft, caConfig } = spec;
  const heartbeat = spec.dispatcher?.heartbeatPeriod;
  const expiry = caConfig?.nodeCertExpiry;
  return {
    ...(spec.annotations === undefined ? { Name: '', Labels: {} } : annotations.toJson(spec.annotations)),
    Orchestration: { TaskHistoryRetentionLimit: spec.orchestration?.taskHistoryRetentionLimit ?? 0n },
    Raft: {
      ...((raft?.snapshotInterval ?? 0n) === 0n ? {} : { SnapshotInterval: raft?.snapshotInterval }),
      KeepOldSnapshots: raft?.keepOldSnapshots ?? 0n,
      ...((raft?.logEntriesForSlowFollowers ?? 0n) === 0n
        ? {}
        : { LogEntriesForSlowFollowers: raft?.logEntriesForSlowFollowers }),
      ElectionTick: raft?.electionTick ?? 0,
      HeartbeatTick: raft?.heartbeatTick ?? 0,
    },
    Dispatcher: heartbeat === undefined ? {} : { HeartbeatPeriod: nsFromDuration(heartbeat) },
    CAConfig: {
      ...(expiry === undefined ? {} : { NodeCertExpiry: nsFromDuration(expiry) }),
      ...(caConfig === undefined || caConfig.externalCas.length === 0
        ? {}
        : { ExternalCAs: caConfig.externalCas.map(externalCaToJson) }),
      ...((caConfig?.forceRotate ?? 0n) === 0n ? {} : { ForceRotate: caConfig?.forceRotate }),
    },
    TaskDefaults:
      spec.taskDefaults?.logDriver === undefined ? {} : { LogDriver: driver.toJson(spec.taskDefaults.logDriver) },
    EncryptionConfig: { AutoLockManagers: spec.encryptionConfig?.autoLockManagers ?? false },
  };
}

function externalCaToJson(ca: ExternalCA): Record<string, unknown> {
  return {
    Protocol: 'cfssl',
    URL: ca.url,
    ...(Object.keys(ca.options).length === 0 ? {} : { Options: ca.options }),
    CACert: new TextDecoder().decode(ca.caCert),
  };
}
