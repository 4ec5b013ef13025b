import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Code } from '../base/index.js';
import { parseImageReference } from './image-reference.js';

const SHA256 = `sha256:${'ab'.repeat(32)}`;

describe('parseImageReference', () => {
  it.each([
    ['nginx', 'docker.io', 'library/nginx', undefined, undefined],
    ['nginx:1.27', 'docker.io', 'library/nginx', '1.27', undefined],
    ['user/app:v1', 'docker.io', 'user/app', 'v1', undefined],
    ['docker.io/nginx', 'docker.io', 'library/nginx', undefined, undefined],
    ['index.docker.io/nginx', 'docker.io', 'library/nginx', undefined, undefined],
    ['index.docker.io/user/app', 'docker.io', 'user/app', undefined, undefined],
    ['localhost/app', 'localhost', 'app', undefined, undefined],
    ['localhost:5000/app:1', 'localhost:5000', 'app', '1', undefined],
    ['registry.example.com:443/a/b/c', 'registry.example.com:443', 'a/b/c', undefined, undefined],
    ['Registry/app', 'Registry', 'app', undefined, undefined],
    ['10.0.0.1:5000/app', '10.0.0.1:5000', 'app', undefined, undefined],
    ['[::1]:5000/app', '[::1]:5000', 'app', undefined, undefined],
    ['[fd00:1:2::3]/app', '[fd00:1:2::3]', 'app', undefined, undefined],
    [`app@${SHA256}`, 'docker.io', 'library/app', undefined, SHA256],
    [`app:1@${SHA256}`, 'docker.io', 'library/app', '1', SHA256],
    [`r.io/app@sha512:${'0'.repeat(128)}`, 'r.io', 'app', undefined, `sha512:${'0'.repeat(128)}`],
    ['a__b', 'docker.io', 'library/a__b', undefined, undefined],
    ['a---b.c_d', 'docker.io', 'library/a---b.c_d', undefined, undefined],
    [`app:${'t'.repeat(128)}`, 'docker.io', 'library/app', 't'.repeat(128), undefined],
    [`a.b/${'x'.repeat(255)}`, 'a.b', 'x'.repeat(255), undefined, undefined],
  ])('reads %s', (text, domain, path, tag, digest) => {
    expect(parseImageReference(text)).toEqual({ domain, path, tag, digest });
  });

  it.each([
    ['', 'invalid reference format'],
    [' ', 'invalid reference format'],
    ['-app', 'invalid reference format'],
    ['app-', 'invalid reference format'],
    ['a..b', 'invalid reference format'],
    ['a___b', 'invalid reference format'],
    ['a._b', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['/app', 'invalid reference format'],
    ['a/', 'invalid reference format'],
    ['app:', 'invalid reference format'],
    ['app:-x', 'invalid reference format'],
    ['app:a:b', 'invalid reference format'],
    [`app:${'t'.repeat(129)}`, 'invalid reference format'],
    ['app@', 'invalid reference format'],
    ['app@sha256:ab', 'invalid reference format'],
    [`app@sha256:${'AB'.repeat(32)}`, 'invalid reference format'],
    [`app@md5:${'ab'.repeat(16)}`, 'invalid reference format'],
    [`app@${SHA256}@${SHA256}`, 'invalid reference format'],
    ['-host.com/app', 'invalid reference format'],
    ['host.com:port/app', 'invalid reference format'],
    ['[::1%eth0]:5000/app', 'invalid reference format'],
    ['https://host/app', 'invalid reference format'],
    ['bad image', 'invalid reference format'],
    ['App', 'invalid reference format: repository name (library/App) must be lowercase'],
    ['user/App', 'invalid reference format: repository name (user/App) must be lowercase'],
    ['ab'.repeat(32), `invalid repository name (${'ab'.repeat(32)}), cannot specify 64-byte hexadecimal strings`],
    [`a.b/${'x'.repeat(256)}`, 'repository name must not be more than 255 characters'],
  ])('refuses %j', (text, message) => {
    expect(() => parseImageReference(text)).toThrow(
      expect.objectContaining({ code: Code.INVALID_ARGUMENT, message }) as Error,
    );
  });

  it('reads back what it wrote out in full', () => {
    const component = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,5})?$/);
    const domain = fc.constantFrom('docker.io', 'localhost:5000', 'r.example.com', '[::1]:80');
    const tag = fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/), { nil: undefined });
    const digest = fc.constantFrom(undefined, SHA256);
    fc.assert(
      fc.property(domain, fc.array(component, { minLength: 2, maxLength: 4 }), tag, digest, (d, components, t, g) => {
        const path = components.join('/');
        const text = `${d}/${path}${t === undefined ? '' : `:${t}`}${g === undefined ? '' : `@${g}`}`;
        expect(parseImageReference(text)).toEqual({ domain: d, path, tag: t, digest: g });
      }),
    );
  });

  it('stays fast on hostile input', () => {
    expect(() => parseImageReference(`${'a-'.repeat(50_000)}!`)).toThrow('invalid reference format');
    expect(() => parseImageReference(`${'a.'.repeat(50_000)}!/x`)).toThrow('invalid reference format');
  });
});
