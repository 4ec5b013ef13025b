import { create } from '@bufbuild/protobuf';

import { SecretSchema, type Secret } from '../../api/index.js';
import { newId } from '../../base/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import { commit, written, type ControlContext, type Handlers } from './deps.js';
import { alreadyExists, invalidArgument, notFound } from './errors.js';
import { anyChoice, commonChoices, hasLabels, passing } from './filters.js';
import { checkUnused, relabelled } from './payload.js';
import { validateSecretSpec } from './validate-payload.js';

/** Handlers for secrets. Nothing but {@link redactedSecret} leaves here. */
export function secretHandlers(
  control: ControlContext,
): Handlers<'getSecret' | 'updateSecret' | 'listSecrets' | 'createSecret' | 'removeSecret'> {
  return { ...readingHandlers(control), ...changingHandlers(control) };
}

function readingHandlers(control: ControlContext): Handlers<'getSecret' | 'listSecrets'> {
  return {
    getSecret: async ({ secretId }) => {
      if (secretId === '') throw invalidArgument('secret ID must be provided');
      const secret = control.store.view((tx) => requiredSecret(tx, secretId));
      return { secret: redactedSecret(secret) };
    },
    listSecrets: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) => tx.find('secret', anyChoice(commonChoices(filters))));
      const secrets = await passing(control, signal, candidates, [
        (secret) => !secret.internal,
        hasLabels(filters?.labels, (secret: Secret) => secret.spec?.annotations?.labels),
      ]);
      return { secrets: secrets.map(redactedSecret) };
    },
  };
}

function changingHandlers(control: ControlContext): Handlers<'updateSecret' | 'createSecret' | 'removeSecret'> {
  return {
    updateSecret: async ({ secretId, secretVersion, spec }, call) => {
      if (secretId === '' || secretVersion === undefined || spec === undefined) throw invalidArgument();
      return commit(control, call, (tx) => {
        tx.update('secret', relabelled(requiredSecret(tx, secretId), spec, secretVersion));
        return { secret: redactedSecret(written(tx, 'secret', secretId)) };
      });
    },
    createSecret: async ({ spec }, call) => {
      validateSecretSpec(spec);
      if (spec.driver !== undefined && control.secretDriverExists?.(spec.driver) !== true) {
        throw invalidArgument(`secret driver ${spec.driver.name} is not available`);
      }
      const secret = create(SecretSchema, { id: newId(control.random), spec });
      const name = spec.annotations?.name ?? '';
      return commit(control, call, (tx) => {
        if (tx.find('secret', by.name(name)).length > 0) throw alreadyExists(`secret ${name} already exists`);
        tx.create('secret', secret);
        return { secret: redactedSecret(written(tx, 'secret', secret.id)) };
      });
    },
    removeSecret: async ({ secretId }, call) => {
      if (secretId === '') throw invalidArgument('secret ID must be provided');
      await commit(control, call, (tx) => {
        const secret = tx.get('secret', secretId);
        if (secret === undefined) throw notFound(`could not find secret ${secretId}`);
        checkUnused('secret', secret, tx.find('service', by.referencedSecret(secretId)));
        tx.remove('secret', secretId);
      });
      return {};
    },
  };
}

function requiredSecret(tx: ReadTransaction, secretId: string): Secret {
  const secret = tx.get('secret', secretId);
  if (secret === undefined) throw notFound(`secret ${secretId} not found`);
  return secret;
}

function redactedSecret(secret: Secret): Secret {
  return secret.spec === undefined ? secret : { ...secret, spec: { ...secret.spec, data: new Uint8Array() } };
}
