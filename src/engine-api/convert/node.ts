import { create } from '@bufbuild/protobuf';

import {
  NodeRole,
  NodeSpec_Availability,
  NodeSpecSchema,
  NodeStatus_State,
  RaftMemberStatus_Reachability,
  type Node,
  type NodeDescription,
  type NodeSpec,
  type NodeTLSInfo,
} from '../../api/index.js';
import { ApiError, type JsonObject } from '../http/index.js';
import { encodeBase64 } from './codec.js';
import { annotations, objectHeader, platform } from './common.js';
import { resources } from './service.js';

const ROLES = new Map([
  ['worker', NodeRole.WORKER],
  ['manager', NodeRole.MANAGER],
]);

const AVAILABILITIES = new Map([
  ['active', NodeSpec_Availability.ACTIVE],
  ['pause', NodeSpec_Availability.PAUSE],
  ['drain', NodeSpec_Availability.DRAIN],
]);

/** A role by its word, in any case; undefined when there is no such role. */
export function roleFromWord(given: string): NodeRole | undefined {
  return ROLES.get(given.toLowerCase());
}

/** An availability by its word. The empty word is refused. */
function availabilityFromWord(given: string): NodeSpec_Availability {
  const availability = AVAILABILITIES.get(given.toLowerCase());
  if (availability === undefined) {
    throw new ApiError('invalid-parameter', `invalid Availability: ${JSON.stringify(given)}`);
  }
  return availability;
}

/** Reads a node spec: role and availability are both needed (engine-api E-213). */
export function nodeSpecFromJson(json: JsonObject): NodeSpec {
  const role = roleFromWord(json.string('Role'));
  if (role === undefined) {
    throw new ApiError('invalid-parameter', `invalid Role: ${JSON.stringify(json.string('Role'))}`);
  }
  return create(NodeSpecSchema, {
    annotations: annotations.fromJson(json),
    desiredRole: role,
    availability: availabilityFromWord(json.string('Availability')),
  });
}

/** A node as the API shows it. The role is the desired one. */
export function nodeToJson(node: Node): Record<string, unknown> {
  const { spec, status, managerStatus } = node;
  return {
    ...objectHeader(node.id, node.meta),
    Spec: {
      ...(spec?.annotations?.name ? { Name: spec.annotations.name } : {}),
      Labels: spec?.annotations?.labels ?? {},
      Role: roleWord(spec?.desiredRole ?? NodeRole.WORKER),
      Availability: availabilityWord(spec?.availability ?? NodeSpec_Availability.ACTIVE),
    },
    Description: descriptionToJson(node.description),
    Status: {
      State: nodeStateWord(status?.state ?? NodeStatus_State.UNKNOWN),
      ...(status === undefined || status.message === '' ? {} : { Message: status.message }),
      ...(status === undefined || status.addr === '' ? {} : { Addr: status.addr }),
    },
    ...(managerStatus === undefined
      ? {}
      : {
          ManagerStatus: {
            ...(managerStatus.leader ? { Leader: true } : {}),
            Reachability: reachabilityWord(managerStatus.reachability),
            Addr: managerStatus.addr,
          },
        }),
  };
}

/** The word for a role. */
export function roleWord(role: NodeRole): string {
  return NodeRole[role].toLowerCase();
}

/** The word for an availability. */
export function availabilityWord(availability: NodeSpec_Availability): string {
  return NodeSpec_Availability[availability].toLowerCase();
}

/** The word for a node's state. */
export function nodeStateWord(state: NodeStatus_State): string {
  return NodeStatus_State[state].toLowerCase();
}

/** The word for a manager's reachability. */
export function reachabilityWord(reachability: RaftMemberStatus_Reachability): string {
  return RaftMemberStatus_Reachability[reachability].toLowerCase();
}

function descriptionToJson(description: NodeDescription | undefined): Record<string, unknown> {
  const engine = description?.engine;
  return {
    ...(description === undefined || description.hostname === '' ? {} : { Hostname: description.hostname }),
    Platform: description?.platform === undefined ? {} : platform.toJson(description.platform),
    Resources: description?.resources === undefined ? {} : resources.toJson(description.resources),
    Engine: {
      ...(engine === undefined || engine.engineVersion === '' ? {} : { EngineVersion: engine.engineVersion }),
      ...(engine === undefined || Object.keys(engine.labels).length === 0 ? {} : { Labels: engine.labels }),
      ...(engine === undefined || engine.plugins.length === 0
        ? {}
        : { Plugins: engine.plugins.map(({ type, name }) => ({ Type: type, Name: name })) }),
    },
    TLSInfo: description?.tlsInfo === undefined ? {} : tlsInfoToJson(description.tlsInfo),
    ...(description === undefined || description.csiInfo.length === 0
      ? {}
      : { CSIInfo: description.csiInfo.map(csiInfoToJson) }),
  };
}

function csiInfoToJson(info: NodeDescription['csiInfo'][number]): Record<string, unknown> {
  return {
    PluginName: info.pluginName,
    NodeID: info.nodeId,
    ...(info.maxVolumesPerNode === 0n ? {} : { MaxVolumesPerNode: info.maxVolumesPerNode }),
    ...(info.accessibleTopology === undefined
      ? {}
      : { AccessibleTopology: { Segments: info.accessibleTopology.segments } }),
  };
}

/** The trust root in PEM and the issuer in base64 DER. */
export function tlsInfoToJson(info: Omit<NodeTLSInfo, '$typeName'>): Record<string, unknown> {
  return {
    ...(info.trustRoot.length === 0 ? {} : { TrustRoot: new TextDecoder().decode(info.trustRoot) }),
    ...(info.certIssuerSubject.length === 0 ? {} : { CertIssuerSubject: encodeBase64(info.certIssuerSubject) }),
    ...(info.certIssuerPublicKey.length === 0 ? {} : { CertIssuerPublicKey: encodeBase64(info.certIssuerPublicKey) }),
  };
}
