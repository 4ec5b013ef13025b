import type { Network } from '../../api/index.js';
import type { ControlContext, Handlers } from './deps.js';
import { invalidArgument, notFound } from './errors.js';
import { commonChecks, commonChoices, firstChoice, passing } from './filters.js';

/** Handlers for reading networks. Creating and removing them comes with the network allocator. */
export function networkHandlers(control: ControlContext): Handlers<'getNetwork' | 'listNetworks'> {
  return {
    // The name in the request is ignored, as SwarmKit does.
    getNetwork: async ({ networkId }) => {
      if (networkId === '') throw invalidArgument();
      const network = control.store.view((tx) => tx.get('network', networkId));
      if (network === undefined) throw notFound(`network ${networkId} not found`);
      return { network };
    },
    listNetworks: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) => tx.find('network', firstChoice(commonChoices(filters))));
      const checks = commonChecks(filters, (network: Network) => network.spec?.annotations);
      return { networks: await passing(control, signal, candidates, checks) };
    },
  };
}
