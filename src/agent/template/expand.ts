import { create } from '@bufbuild/protobuf';

import { NodeDescriptionSchema, TaskSchema, taskName } from '../../api/index.js';
import type { Config, ContainerSpec, Driver, Mount, NodeDescription, Secret, Task, TaskSpec } from '../../api/index.js';
import { Code, SwarmError, errorText, isSwarmError } from '../../base/index.js';
import { Template, type FunctionMap } from './evaluator.js';
import { FunctionError, type TemplateFunction } from './functions.js';
import { bytesToGoString, fromGoString, goStringToBytes, toGoString } from './go-string.js';
import { Struct } from './values.js';

/** Name under which errors mention a template. Source: SwarmKit. */
const NAME = 'expansion';
/** The only kind of templating there is for payloads. */
const GOLANG = 'golang';

const JOIN: TemplateFunction = {
  fixed: [],
  rest: 'string',
  call: (args) => {
    const [separator, ...parts] = args as readonly string[];
    if (separator === undefined) throw new FunctionError('a separator is needed');
    return parts.join(separator);
  },
};

const FUNCTIONS: FunctionMap = new Map([['join', JOIN]]);

/** What payload templates can look up besides the task itself. */
export interface PayloadSources {
  /** Undefined when the task may not read it or it is not there. */
  secret(secretId: string): Secret | undefined;
  config(configId: string): Config | undefined;
}

/**
 * The task with the templates in its environment, mounts and hostname expanded for this node: the very
 * same object where it has none. Fails with InvalidArgument naming the place.
 */
export function expandTaskSpec(task: Task, node: NodeDescription | undefined): Task {
  const { spec } = task;
  if (spec?.runtime.case !== 'container' || !hasTemplates(spec.runtime.value)) return task;
  const expanded = expandContainer(spec.runtime.value, templateContext(task, node));
  return { ...task, spec: { ...spec, runtime: { case: 'container', value: expanded } } };
}

/** The payload of a secret or config, expanded as its templating says, and whether a secret went into it. */
export function expandPayload(
  what: string,
  templating: Driver,
  payload: Uint8Array,
  task: Task,
  node: NodeDescription | undefined,
  sources: PayloadSources,
): { readonly data: Uint8Array; readonly sensitive: boolean } {
  if (templating.name !== GOLANG) {
    throw new SwarmError(
      Code.INVALID_ARGUMENT,
      `${what}: unrecognized template type ${JSON.stringify(templating.name)}`,
    );
  }
  let sensitive = false;
  const functions: FunctionMap = new Map([
    ...FUNCTIONS,
    [
      'secret',
      oneString((target) => {
        sensitive = true;
        return secretPayload(task, sources, target);
      }),
    ],
    ['config', oneString((target) => configPayload(task, sources, target))],
    ['env', oneString((variable) => environment(task, variable))],
  ]);
  try {
    const template = new Template(NAME, bytesToGoString(payload), functions);
    const context = templateContext(task, node);
    const data = new Struct('*template.PayloadContext', {
      Context: context,
      ...Object.fromEntries(context.fields),
    });
    return { data: goStringToBytes(template.execute(data)), sensitive };
  } catch (error) {
    throw wrapped(`failed to expand templated ${what}`, error);
  }
}

/** Why a task of this spec could not be expanded, as far as that can be known before there is one. */
export function checkTaskTemplates(spec: TaskSpec): string | undefined {
  const task = create(TaskSchema, {
    id: 'taskid',
    serviceId: 'serviceid',
    slot: 1n,
    nodeId: 'nodeid',
    annotations: { name: 'taskname' },
    serviceAnnotations: { name: 'servicename' },
    spec,
  });
  const node = create(NodeDescriptionSchema, {
    hostname: 'nodeHostname',
    platform: { os: 'os', architecture: 'architecture' },
  });
  try {
    expandTaskSpec(task, node);
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}

function templateContext(task: Task, node: NodeDescription | undefined): Struct {
  const labels = Object.entries(task.serviceAnnotations?.labels ?? {});
  return new Struct('*template.Context', {
    Service: new Struct('struct { ID string; Name string; Labels map[string]string }', {
      ID: toGoString(task.serviceId),
      Name: toGoString(task.serviceAnnotations?.name ?? ''),
      Labels: new Map(labels.map(([key, value]) => [toGoString(key), toGoString(value)])),
    }),
    Node: new Struct('struct { ID string; Hostname string; Platform template.Platform }', {
      ID: toGoString(task.nodeId),
      Hostname: toGoString(node?.hostname ?? ''),
      Platform: new Struct('template.Platform', {
        Architecture: toGoString(node?.platform?.architecture ?? ''),
        OS: toGoString(node?.platform?.os ?? ''),
      }),
    }),
    Task: new Struct('struct { ID string; Name string; Slot string }', {
      ID: toGoString(task.id),
      Name: toGoString(taskName(task)),
      Slot: toGoString(task.slot === 0n ? task.nodeId : task.slot.toString()),
    }),
  });
}

/** Only texts with a left delimiter can change. */
function hasTemplates({ env, hostname, mounts }: ContainerSpec): boolean {
  const mountHas = ({ source, target, volumeOptions }: Mount): boolean =>
    isTemplate(source) ||
    isTemplate(target) ||
    Object.values(volumeOptions?.labels ?? {}).some(isTemplate) ||
    Object.values(volumeOptions?.driverConfig?.options ?? {}).some(isTemplate);
  return isTemplate(hostname) || env.some(isTemplate) || mounts.some(mountHas);
}

function isTemplate(text: string): boolean {
  return text.includes('{{');
}

function expandContainer(container: ContainerSpec, context: Struct): ContainerSpec {
  const expand = (text: string, what: string): string => {
    if (!isTemplate(text)) return text;
    try {
      return fromGoString(new Template(NAME, toGoString(text), FUNCTIONS).execute(context));
    } catch (error) {
      throw wrapped(what, error);
    }
  };
  const expandMap = (map: Readonly<Record<string, string>>, what: string): Record<string, string> =>
    Object.fromEntries(
      Object.entries(map).map(([key, value]) => [
        key,
        expand(value, `${what}: expanding map entry ${JSON.stringify(key)}=${JSON.stringify(value)}`),
      ]),
    );
  return {
    ...container,
    env: container.env.map((entry) => expandEnv(entry, expand)),
    mounts: container.mounts.map((mount) => expandMount(mount, expand, expandMap)),
    hostname: expand(container.hostname, 'expanding hostname failed'),
  };
}

type Expand = (text: string, what: string) => string;
type ExpandMap = (map: Readonly<Record<string, string>>, what: string) => Record<string, string>;

/** Only the value of a variable is a template, never its name. */
function expandEnv(entry: string, expand: Expand): string {
  const at = entry.indexOf('=');
  if (at === -1) return entry;
  const what = `expanding env failed: expanding env ${JSON.stringify(entry)}`;
  return `${entry.slice(0, at)}=${expand(entry.slice(at + 1), what)}`;
}

function expandMount(mount: Mount, expand: Expand, expandMap: ExpandMap): Mount {
  const failed = 'expanding mounts failed';
  const expanded: Mount = {
    ...mount,
    source: expand(mount.source, `${failed}: expanding mount source ${JSON.stringify(mount.source)}`),
    target: expand(mount.target, `${failed}: expanding mount target ${JSON.stringify(mount.target)}`),
  };
  const { volumeOptions } = mount;
  if (volumeOptions === undefined) return expanded;
  const { driverConfig } = volumeOptions;
  expanded.volumeOptions = {
    ...volumeOptions,
    labels: expandMap(volumeOptions.labels, `${failed}: expanding volume labels`),
  };
  if (driverConfig !== undefined) {
    const options = expandMap(driverConfig.options, `${failed}: expanding volume driver config`);
    expanded.volumeOptions.driverConfig = { ...driverConfig, options };
  }
  return expanded;
}

function wrapped(what: string, cause: unknown): SwarmError {
  const code = isSwarmError(cause) ? cause.code : Code.INTERNAL;
  return new SwarmError(code, `${what}: ${errorText(cause)}`, { cause });
}

function oneString(call: (argument: string) => string): TemplateFunction {
  return { fixed: ['string'], rest: undefined, call: ([argument]) => call(fromGoString(argument as string)) };
}

function containerOf(task: Task): ContainerSpec {
  if (task.spec?.runtime.case === 'container') return task.spec.runtime.value;
  throw new FunctionError('task is not a container');
}

function secretPayload(task: Task, sources: PayloadSources, target: string): string {
  const reference = containerOf(task).secrets.find((r) => r.target.case === 'file' && r.target.value.name === target);
  if (reference === undefined) throw new FunctionError(`secret target ${target} not found`);
  const secret = sources.secret(reference.secretId);
  if (secret?.spec === undefined) throw new FunctionError(`secret ${reference.secretId} is not available`);
  return bytesToGoString(secret.spec.data);
}

function configPayload(task: Task, sources: PayloadSources, target: string): string {
  const reference = containerOf(task).configs.find((r) => r.target.case === 'file' && r.target.value.name === target);
  if (reference === undefined) throw new FunctionError(`config target ${target} not found`);
  const config = sources.config(reference.configId);
  if (config?.spec === undefined) throw new FunctionError(`config ${reference.configId} is not available`);
  return bytesToGoString(config.spec.data);
}

/** The task's own environment, as written in its spec; a variable that is not set is empty. */
function environment(task: Task, variable: string): string {
  const prefix = `${variable}=`;
  const entry = containerOf(task).env.find((value) => value.startsWith(prefix));
  return toGoString(entry === undefined ? '' : entry.slice(prefix.length));
}
