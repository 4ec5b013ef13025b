import { create } from '@bufbuild/protobuf';

import { ConfigSchema, type Config } from '../../api/index.js';
import { newId } from '../../base/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import { commit, written, type ControlContext, type Handlers } from './deps.js';
import { alreadyExists, invalidArgument, notFound } from './errors.js';
import { anyChoice, commonChoices, hasLabels, passing } from './filters.js';
import { checkUnused, relabelled } from './payload.js';
import { validateConfigSpec } from './validate-payload.js';

/** Handlers for configs. */
export function configHandlers(
  control: ControlContext,
): Handlers<'getConfig' | 'updateConfig' | 'listConfigs' | 'createConfig' | 'removeConfig'> {
  return {
    getConfig: async ({ configId }) => {
      if (configId === '') throw invalidArgument('config ID must be provided');
      return { config: control.store.view((tx) => requiredConfig(tx, configId)) };
    },
    listConfigs: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) => tx.find('config', anyChoice(commonChoices(filters))));
      const labels = hasLabels(filters?.labels, (config: Config) => config.spec?.annotations?.labels);
      return { configs: await passing(control, signal, candidates, [labels]) };
    },
    ...changingHandlers(control),
  };
}

function changingHandlers(control: ControlContext): Handlers<'updateConfig' | 'createConfig' | 'removeConfig'> {
  return {
    updateConfig: async ({ configId, configVersion, spec }, call) => {
      if (configId === '' || configVersion === undefined || spec === undefined) throw invalidArgument();
      return commit(control, call, (tx) => {
        tx.update('config', relabelled(requiredConfig(tx, configId), spec, configVersion));
        return { config: written(tx, 'config', configId) };
      });
    },
    createConfig: async ({ spec }, call) => {
      validateConfigSpec(spec);
      const config = create(ConfigSchema, { id: newId(control.random), spec });
      const name = spec.annotations?.name ?? '';
      return commit(control, call, (tx) => {
        if (tx.find('config', by.name(name)).length > 0) throw alreadyExists(`config ${name} already exists`);
        tx.create('config', config);
        return { config: written(tx, 'config', config.id) };
      });
    },
    removeConfig: async ({ configId }, call) => {
      if (configId === '') throw invalidArgument('config ID must be provided');
      await commit(control, call, (tx) => {
        const config = tx.get('config', configId);
        if (config === undefined) throw notFound(`could not find config ${configId}`);
        checkUnused('config', config, tx.find('service', by.referencedConfig(configId)));
        tx.remove('config', configId);
      });
      return {};
    },
  };
}

function requiredConfig(tx: ReadTransaction, configId: string): Config {
  const config = tx.get('config', configId);
  if (config === undefined) throw notFound(`config ${configId} not found`);
  return config;
}
