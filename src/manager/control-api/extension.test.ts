import { describe, expect, it } from 'vitest';

import { Code } from '../../base/index.js';
import { CALL, bytes, failure, fixture, type Fixture } from './test-fixture.js';

const invalid = (message: string) => ({ code: Code.INVALID_ARGUMENT, message });
const missing = (message: string) => ({ code: Code.NOT_FOUND, message });
const taken = (message: string) => ({ code: Code.ALREADY_EXISTS, message });

async function extension(f: Fixture, name: string) {
  return (await f.control.createExtension({ annotations: { name }, description: 'd' }, CALL)).extension!;
}

async function resource(f: Fixture, name: string, kind = 'gadget') {
  const payload = { typeUrl: 't', value: bytes('x') };
  return (await f.control.createResource({ annotations: { name }, kind, payload }, CALL)).resource!;
}

describe('extensions', () => {
  it('are created, read and removed', async () => {
    const f = fixture();
    const { id: extensionId } = await extension(f, 'gadget');
    const { extension: read } = await f.control.getExtension({ extensionId }, CALL);
    expect(read).toBe(f.get('extension', extensionId));
    expect(read).toMatchObject({ annotations: { name: 'gadget' }, description: 'd' });
    await f.control.removeExtension({ extensionId }, CALL);
    expect(f.get('extension', extensionId)).toBeUndefined();
  });

  it('need a name that is neither taken nor built in', async () => {
    const f = fixture();
    await extension(f, 'gadget');
    expect(await failure(extension(f, ''))).toEqual(invalid('extension name must be provided'));
    expect(await failure(f.control.createExtension({}, CALL))).toEqual(invalid('extension name must be provided'));
    expect(await failure(extension(f, 'Gadget'))).toEqual(taken('extension Gadget already exists'));
    for (const name of ['node', 'service', 'task', 'volume']) {
      expect(await failure(extension(f, name))).toEqual(taken(`extension ${name} already exists`));
    }
  });

  it('need an id that exists', async () => {
    const { control } = fixture();
    const noId = invalid('extension ID must be provided');
    expect(await failure(control.getExtension({}, CALL))).toEqual(noId);
    expect(await failure(control.removeExtension({}, CALL))).toEqual(noId);
    expect(await failure(control.getExtension({ extensionId: 'x' }, CALL))).toEqual(missing('extension x not found'));
    expect(await failure(control.removeExtension({ extensionId: 'x' }, CALL))).toEqual(
      missing('could not find extension x'),
    );
  });

  it('stay while there are resources of their kind', async () => {
    const f = fixture();
    const { id: extensionId } = await extension(f, 'gadget');
    await resource(f, 'a', 'GADGET');
    expect(await failure(f.control.removeExtension({ extensionId }, CALL))).toEqual(
      invalid("extension 'gadget' is in use by the following resource: a"),
    );
    for (let at = 0; at < 11; at++) await resource(f, `r${at}`);
    const refusal = await failure(f.control.removeExtension({ extensionId }, CALL));
    expect(refusal?.message).toMatch(/^extension 'gadget' is in use by the following resources: ([ar]\d*, ){9}r\d+$/);
  });
});

describe('resources', () => {
  it('are created, read and removed', async () => {
    const f = fixture();
    await extension(f, 'gadget');
    const { id: resourceId } = await resource(f, 'a');
    const { resource: read } = await f.control.getResource({ resourceId }, CALL);
    expect(read).toMatchObject({ annotations: { name: 'a' }, kind: 'gadget', payload: { typeUrl: 't' } });
    await f.control.removeResource({ resourceId }, CALL);
    expect(f.get('resource', resourceId)).toBeUndefined();
  });

  it('need a name that is free among all kinds, and a kind that exists', async () => {
    const f = fixture();
    await extension(f, 'gadget');
    await extension(f, 'widget');
    await resource(f, 'a');
    expect(await failure(resource(f, ''))).toEqual(invalid('Resource must have a name'));
    expect(await failure(f.control.createResource({ kind: 'gadget' }, CALL))).toEqual(
      invalid('Resource must have a name'),
    );
    expect(await failure(resource(f, 'b', ''))).toEqual(invalid('Resource must belong to an Extension'));
    expect(await failure(resource(f, 'b', 'nope'))).toEqual(invalid('Kind nope is not registered'));
    expect(await failure(resource(f, 'A', 'widget'))).toEqual(taken('A resource with name A already exists'));
  });

  it('change their annotations and payload, together or alone', async () => {
    const f = fixture();
    await extension(f, 'gadget');
    const { id: resourceId, meta } = await resource(f, 'a');
    const annotations = { name: 'a', labels: { x: 'y' } };
    const first = (await f.control.updateResource({ resourceId, resourceVersion: meta!.version!, annotations }, CALL))
      .resource!;
    expect(first).toMatchObject({ annotations, payload: { typeUrl: 't' } });
    const payload = { typeUrl: 'u', value: bytes('z') };
    const request = { resourceId, resourceVersion: first.meta!.version!, payload };
    const second = (await f.control.updateResource(request, CALL)).resource!;
    expect(second).toMatchObject({ annotations, payload: { typeUrl: 'u' }, kind: 'gadget' });
  });

  it('keep their name, and are not updated from a stale version', async () => {
    const f = fixture();
    await extension(f, 'gadget');
    const { id: resourceId, meta } = await resource(f, 'a');
    const resourceVersion = meta!.version!;
    const update = (changes: object) => f.control.updateResource({ resourceId, resourceVersion, ...changes }, CALL);
    expect(await failure(update({ annotations: { name: 'b' } }))).toEqual(invalid('cannot change resource name'));
    await update({});
    expect(await failure(update({}))).toEqual(invalid('update out of sequence'));
    expect(await failure(f.control.updateResource({ resourceId }, CALL))).toEqual(
      invalid('must include ID and version'),
    );
    expect(await failure(update({ resourceId: '' }))).toEqual(invalid('must include ID and version'));
    expect(await failure(update({ resourceId: 'x' }))).toEqual(missing('resource x not found'));
  });

  it('need an id that exists', async () => {
    const { control } = fixture();
    for (const method of [control.getResource, control.removeResource]) {
      expect(await failure(method({}, CALL))).toEqual(invalid('resource ID must be present'));
      expect(await failure(method({ resourceId: 'x' }, CALL))).toEqual(missing('resource x not found'));
    }
  });
});
