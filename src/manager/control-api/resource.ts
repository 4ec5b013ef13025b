import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';

import { ResourceSchema, type Annotations, type Resource, type Version } from '../../api/index.js';
import { newId } from '../../base/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import { commit, written, type ControlContext, type Handlers } from './deps.js';
import { alreadyExists, invalidArgument, notFound } from './errors.js';
import { anyChoice, choice, commonChoices, hasLabels, oneOf, passing } from './filters.js';

/** Handlers for resources: instances of the kinds that extensions declare. */
export function resourceHandlers(
  control: ControlContext,
): Handlers<'getResource' | 'updateResource' | 'listResources' | 'createResource' | 'removeResource'> {
  return { ...readingHandlers(control), ...changingHandlers(control) };
}

function readingHandlers(control: ControlContext): Handlers<'getResource' | 'listResources'> {
  return {
    getResource: async ({ resourceId }) => {
      if (resourceId === '') throw invalidArgument('resource ID must be present');
      return { resource: control.store.view((tx) => requiredResource(tx, resourceId)) };
    },
    listResources: async ({ filters }, { signal }) => {
      const kinds = filters === undefined || filters.kind === '' ? [] : [filters.kind];
      const common = commonChoices(filters);
      const named = common.some(({ finders }) => finders.length > 0);
      const finder = named ? anyChoice(common) : anyChoice([choice(kinds, by.resourceKind)]);
      const candidates = control.store.view((tx) => tx.find('resource', finder));
      const resources = await passing(control, signal, candidates, [
        oneOf(kinds, (resource: Resource) => resource.kind),
        hasLabels(filters?.labels, (resource: Resource) => resource.annotations?.labels),
      ]);
      return { resources };
    },
  };
}

function changingHandlers(control: ControlContext): Handlers<'updateResource' | 'createResource' | 'removeResource'> {
  return {
    updateResource: async ({ resourceId, resourceVersion, annotations, payload }, call) => {
      if (resourceId === '' || resourceVersion === undefined) throw invalidArgument('must include ID and version');
      return commit(control, call, (tx) => {
        const old = requiredResource(tx, resourceId);
        tx.update('resource', updated(old, resourceVersion, annotations, payload));
        return { resource: written(tx, 'resource', resourceId) };
      });
    },
    createResource: async ({ annotations, kind, payload }, call) => {
      const name = annotations?.name ?? '';
      if (annotations === undefined || name === '') throw invalidArgument('Resource must have a name');
      if (kind === '') throw invalidArgument('Resource must belong to an Extension');
      const id = newId(control.random);
      const resource = create(ResourceSchema, {
        id,
        annotations,
        kind,
        ...(payload === undefined ? {} : { payload }),
      });
      return commit(control, call, (tx) => {
        if (tx.find('extension', by.name(kind)).length === 0) throw invalidArgument(`Kind ${kind} is not registered`);
        if (tx.find('resource', by.name(name)).length > 0) {
          throw alreadyExists(`A resource with name ${name} already exists`);
        }
        tx.create('resource', resource);
        return { resource: written(tx, 'resource', id) };
      });
    },
    removeResource: async ({ resourceId }, call) => {
      if (resourceId === '') throw invalidArgument('resource ID must be present');
      await commit(control, call, (tx) => {
        requiredResource(tx, resourceId);
        tx.remove('resource', resourceId);
      });
      return {};
    },
  };
}

function requiredResource(tx: ReadTransaction, resourceId: string): Resource {
  const resource = tx.get('resource', resourceId);
  if (resource === undefined) throw notFound(`resource ${resourceId} not found`);
  return resource;
}

/** Replaces what is given. Unlike elsewhere, a stale version is InvalidArgument here, as in SwarmKit. */
function updated(
  old: Resource,
  version: Version,
  annotations: Annotations | undefined,
  payload: Any | undefined,
): Resource {
  if (annotations !== undefined && annotations.name !== old.annotations?.name) {
    throw invalidArgument('cannot change resource name');
  }
  if (old.meta?.version?.index !== version.index) throw invalidArgument('update out of sequence');
  return {
    ...old,
    ...(annotations === undefined ? {} : { annotations }),
    ...(payload === undefined ? {} : { payload }),
  };
}
