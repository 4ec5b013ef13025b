import { create } from '@bufbuild/protobuf';

import {
  JobStatusSchema,
  ServiceSchema,
  UpdateServiceRequest_Rollback,
  VersionSchema,
  sameEndpointSpec,
  runtimeName,
  timestampFromMs,
  withServiceDefaults,
  type ListServicesRequest,
  type Service,
} from '../../api/index.js';
import { newId } from '../../base/index.js';
import { by, type ReadTransaction } from '../../store/index.js';
import { commit, written, type ControlContext, type Handlers } from './deps.js';
import { alreadyExists, invalidArgument, notFound } from './errors.js';
import { choice, commonChecks, commonChoices, firstChoice, oneOf, passing, type Check } from './filters.js';
import { checkIngress, checkNetworks, checkPorts, checkReferences } from './service-references.js';
import { serviceStatusHandlers } from './service-status.js';
import { checkUnchangeable, rolledBack, updated } from './service-update.js';
import { isJob, validateServiceSpec } from './validate-service.js';

/** Handlers for services. */
export function serviceHandlers(
  control: ControlContext,
): Handlers<
  'getService' | 'listServices' | 'createService' | 'updateService' | 'removeService' | 'listServiceStatuses'
> {
  return {
    getService: async ({ serviceId, insertDefaults }) => {
      if (serviceId === '') throw invalidArgument();
      const service = control.store.view((tx) => requiredService(tx, serviceId));
      if (!insertDefaults || service.spec === undefined) return { service };
      return { service: { ...service, spec: withServiceDefaults(service.spec) } };
    },
    listServices: async ({ filters }, { signal }) => {
      const candidates = control.store.view((tx) =>
        tx.find('service', firstChoice([...commonChoices(filters), choice(filters?.runtimes, by.runtime)])),
      );
      return { services: await passing(control, signal, candidates, serviceChecks(filters)) };
    },
    ...changingHandlers(control),
    ...serviceStatusHandlers(control),
  };
}

function changingHandlers(control: ControlContext): Handlers<'createService' | 'updateService' | 'removeService'> {
  return {
    createService: async ({ spec }, call) => {
      validateServiceSpec(spec, control.checkTemplate);
      const service = newService(control, spec);
      return commit(control, call, (tx) => {
        checkNetworks(tx, spec);
        checkPorts(tx, spec, undefined);
        checkIngress(tx, spec);
        checkReferences(tx, spec);
        checkName(tx, spec.annotations?.name ?? '');
        tx.create('service', service);
        return { service: written(tx, 'service', service.id) };
      });
    },
    updateService: async ({ serviceId, serviceVersion, spec, rollback }, call) => {
      if (serviceId === '' || serviceVersion === undefined) throw invalidArgument();
      validateServiceSpec(spec, control.checkTemplate);
      return commit(control, call, (tx) => {
        checkNetworks(tx, spec);
        const old = requiredService(tx, serviceId);
        if (!sameEndpointSpec(spec.endpoint, old.spec?.endpoint)) checkPorts(tx, spec, serviceId);
        checkReferences(tx, spec);
        checkUnchangeable(old, spec);
        const nowMs = control.clock.nowMs();
        const service =
          rollback === UpdateServiceRequest_Rollback.PREVIOUS
            ? rolledBack(old, serviceVersion, nowMs)
            : updated(old, spec, serviceVersion, nowMs);
        checkIngress(tx, service.spec);
        tx.update('service', service);
        return { service: written(tx, 'service', serviceId) };
      });
    },
    removeService: async ({ serviceId }, call) => {
      if (serviceId === '') throw invalidArgument();
      await commit(control, call, (tx) => {
        requiredService(tx, serviceId);
        tx.remove('service', serviceId);
      });
      return {};
    },
  };
}

function requiredService(tx: ReadTransaction, serviceId: string): Service {
  const service = tx.get('service', serviceId);
  if (service === undefined) throw notFound(`service ${serviceId} not found`);
  return service;
}

/** Clients match on the first half of the text. */
function checkName(tx: ReadTransaction, name: string): void {
  if (tx.find('service', by.name(name)).length > 0) {
    throw alreadyExists(`name conflicts with an existing object: service ${name} already exists`);
  }
}

function newService(control: ControlContext, spec: NonNullable<Service['spec']>): Service {
  const service = create(ServiceSchema, { id: newId(control.random), spec, specVersion: {} });
  if (!isJob(spec)) return service;
  const jobStatus = create(JobStatusSchema, {
    jobIteration: create(VersionSchema),
    lastExecution: timestampFromMs(control.clock.nowMs()),
  });
  return { ...service, jobStatus };
}

function serviceChecks(filters: ListServicesRequest['filters']): readonly Check<Service>[] {
  return [
    ...commonChecks(filters, (service: Service) => service.spec?.annotations),
    oneOf(filters?.runtimes, (service: Service) =>
      service.spec?.task?.runtime.case === undefined ? undefined : runtimeName(service.spec.task),
    ),
  ];
}
