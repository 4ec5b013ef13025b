import type { Volume } from '../../api/index.js';
import { by } from '../../store/index.js';
import type { ControlContext, Handlers } from './deps.js';
import { invalidArgument, notFound } from './errors.js';
import { choice, commonChecks, commonChoices, firstChoice, oneOf, passing } from './filters.js';

/** Handlers for reading volumes. Changing them comes with the volume manager. */
export function volumeHandlers(control: ControlContext): Handlers<'getVolume' | 'listVolumes'> {
  return {
    getVolume: async ({ volumeId }) => {
      if (volumeId === '') throw invalidArgument();
      const volume = control.store.view((tx) => tx.get('volume', volumeId));
      if (volume === undefined) throw notFound(`volume ${volumeId} not found`);
      return { volume };
    },
    listVolumes: async ({ filters }, { signal }) => {
      const finder = firstChoice([
        ...commonChoices(filters),
        choice(filters?.groups, by.group),
        choice(filters?.drivers, by.driver),
      ]);
      const candidates = control.store.view((tx) => tx.find('volume', finder));
      const volumes = await passing(control, signal, candidates, [
        ...commonChecks(filters, (volume: Volume) => volume.spec?.annotations),
        oneOf(filters?.groups, (volume: Volume) => volume.spec?.group),
        oneOf(filters?.drivers, (volume: Volume) => volume.spec?.driver?.name),
      ]);
      return { volumes };
    },
  };
}
