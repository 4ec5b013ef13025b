import { create } from '@bufbuild/protobuf';

import {
  ConfigSpecSchema,
  SecretSpecSchema,
  type Config,
  type ConfigSpec,
  type Secret,
  type SecretSpec,
} from '../../api/index.js';
import { ApiError, type ApiVersion, type JsonObject } from '../http/index.js';
import { encodeBase64, optional } from './codec.js';
import { annotations, driver, objectHeader } from './common.js';

/** Reads a secret spec. */
export function secretSpecFromJson(json: JsonObject, version: ApiVersion): SecretSpec {
  refuseTemplating('secret', json, version);
  const secretDriver = optional(driver).decode(json, 'Driver');
  const templating = optional(driver).decode(json, 'Templating');
  return create(SecretSpecSchema, {
    annotations: annotations.fromJson(json),
    data: json.bytes('Data'),
    ...(secretDriver === undefined ? {} : { driver: secretDriver }),
    ...(templating === undefined ? {} : { templating }),
  });
}

/** Reads a config spec. */
export function configSpecFromJson(json: JsonObject, version: ApiVersion): ConfigSpec {
  refuseTemplating('config', json, version);
  const templating = optional(driver).decode(json, 'Templating');
  return create(ConfigSpecSchema, {
    annotations: annotations.fromJson(json),
    data: json.bytes('Data'),
    ...(templating === undefined ? {} : { templating }),
  });
}

function refuseTemplating(kind: 'secret' | 'config', json: JsonObject, version: ApiVersion): void {
  if (!json.has('Templating') || !version.lessThan('1.37')) return;
  throw new ApiError(
    'invalid-parameter',
    `${kind} templating is not supported on the specified API version: ${version.text}`,
  );
}

/** A secret as the API shows it: never with its data. */
export function secretToJson(secret: Secret): Record<string, unknown> {
  const { spec } = secret;
  return {
    ...objectHeader(secret.id, secret.meta),
    Spec: {
      ...(spec?.annotations === undefined ? { Name: '', Labels: {} } : annotations.toJson(spec.annotations)),
      ...(spec?.driver === undefined ? {} : { Driver: driver.toJson(spec.driver) }),
      ...(spec?.templating === undefined ? {} : { Templating: driver.toJson(spec.templating) }),
    },
  };
}

/** A config as the API shows it, data included. */
export function configToJson(config: Config): Record<string, unknown> {
  const { spec } = config;
  return {
    ...objectHeader(config.id, config.meta),
    Spec: {
      ...(spec?.annotations === undefined ? { Name: '', Labels: {} } : annotations.toJson(spec.annotations)),
      ...(spec === undefined || spec.data.length === 0 ? {} : { Data: encodeBase64(spec.data) }),
      ...(spec?.templating === undefined ? {} : { Templating: driver.toJson(spec.templating) }),
    },
  };
}
