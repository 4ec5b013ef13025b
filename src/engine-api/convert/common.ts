import { create } from '@bufbuild/protobuf';

import {
  AnnotationsSchema,
  DriverSchema,
  PlatformSchema,
  type Annotations,
  type Meta,
  type Version,
} from '../../api/index.js';
import type { JsonObject } from '../http/index.js';
import { message, text, textMap, timeText, type MessageCodec } from './codec.js';

/** What every object of the API begins with. */
export function objectHeader(id: string, meta: Meta | undefined): Record<string, unknown> {
  return {
    ID: id,
    Version: versionToJson(meta?.version),
    CreatedAt: timeText(meta?.createdAt),
    UpdatedAt: timeText(meta?.updatedAt),
  };
}

/** A version; index 0 is left out. */
export function versionToJson(version: Version | undefined): { readonly Index?: bigint } {
  return version === undefined || version.index === 0n ? {} : { Index: version.index };
}

/** Name and labels, which stand among the fields of a spec. Labels are never null. */
export const annotations: MessageCodec<Annotations> = {
  fromJson: (json: JsonObject) =>
    create(AnnotationsSchema, { name: json.string('Name'), labels: json.stringMap('Labels') }),
  toJson: (value) => ({ Name: value.name, Labels: value.labels }),
};

export const driver = message(DriverSchema, (field) => [
  field('Name', 'name', text),
  field('Options', 'options', textMap),
]);

export const platform = message(PlatformSchema, (field) => [
  field('Architecture', 'architecture', text),
  field('OS', 'os', text),
]);
