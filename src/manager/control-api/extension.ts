import { create } from '@bufbuild/protobuf';

import { ExtensionSchema, type Extension } from '../../api/index.js';
import { newId } from '../../base/index.js';
import { TABLE_NAMES, by, type ReadTransaction } from '../../store/index.js';
import { commit, written, type ControlContext, type Handlers } from './deps.js';
import { alreadyExists, counted, invalidArgument, notFound } from './errors.js';

/** Resources named in a refusal; there may be very many. Source: SwarmKit. */
const NAMES_SHOWN_MAX = 10;

const BUILT_IN_KINDS: readonly string[] = TABLE_NAMES;

/** Handlers for extensions: kinds of resources that users declare. They cannot be changed. */
export function extensionHandlers(
  control: ControlContext,
): Handlers<'getExtension' | 'createExtension' | 'removeExtension'> {
  return {
    getExtension: async ({ extensionId }) => {
      if (extensionId === '') throw invalidArgument('extension ID must be provided');
      const extension = control.store.view((tx) => tx.get('extension', extensionId));
      if (extension === undefined) throw notFound(`extension ${extensionId} not found`);
      return { extension };
    },
    createExtension: async ({ annotations, description }, call) => {
      const name = annotations?.name ?? '';
      if (annotations === undefined || name === '') throw invalidArgument('extension name must be provided');
      const extension = create(ExtensionSchema, { id: newId(control.random), annotations, description });
      return commit(control, call, (tx) => {
        if (BUILT_IN_KINDS.includes(name) || tx.find('extension', by.name(name)).length > 0) {
          throw alreadyExists(`extension ${name} already exists`);
        }
        tx.create('extension', extension);
        return { extension: written(tx, 'extension', extension.id) };
      });
    },
    removeExtension: async ({ extensionId }, call) => {
      if (extensionId === '') throw invalidArgument('extension ID must be provided');
      await commit(control, call, (tx) => {
        const extension = tx.get('extension', extensionId);
        if (extension === undefined) throw notFound(`could not find extension ${extensionId}`);
        checkNoResources(tx, extension);
        tx.remove('extension', extensionId);
      });
      return {};
    },
  };
}

/** Kinds name their extension without regard to case, so the index by kind does not find them all. */
function checkNoResources(tx: ReadTransaction, extension: Extension): void {
  const name = extension.annotations?.name ?? '';
  const names = tx
    .find('resource', by.all())
    .filter(({ kind }) => kind.toLowerCase() === name.toLowerCase())
    .map((resource) => resource.annotations?.name ?? '');
  if (names.length === 0) return;
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(', ');
  throw invalidArgument(
    `extension '${name}' is in use by the following ${counted('resource', names.length)}: ${shown}`,
  );
}
