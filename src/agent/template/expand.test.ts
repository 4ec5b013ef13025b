import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { ConfigSchema, NodeDescriptionSchema, SecretSchema, TaskSchema, TaskSpecSchema } from '../../api/index.js';
import type { Config, Secret, Task } from '../../api/index.js';
import { checkTaskTemplates, expandPayload, expandTaskSpec } from './expand.js';

const NODE = create(NodeDescriptionSchema, {
  hostname: 'host',
  platform: { os: 'linux', architecture: 'x86_64' },
});

function taskWith(container: object, slot = 2n): Task {
  return create(TaskSchema, {
    id: 'tid',
    serviceId: 'sid',
    nodeId: 'nid',
    slot,
    serviceAnnotations: { name: 'web', labels: { tier: 'front', zone: 'é' } },
    spec: { runtime: { case: 'container', value: container } },
  });
}

function containerOf(task: Task) {
  if (task.spec?.runtime.case !== 'container') throw new Error('not a container');
  return task.spec.runtime.value;
}

function expandEnv(...env: string[]): string[] {
  return containerOf(expandTaskSpec(taskWith({ env }), NODE)).env;
}

describe('expanding a task', () => {
  it('fills in the values of environment variables, not their names', () => {
    expect(
      expandEnv(
        '{{.NotExpanded}}=foo',
        'NO_VALUE',
        'S={{.Service.ID}} {{.Service.Name}} {{.Service.Labels.zone}}',
        'N={{.Node.ID}} {{.Node.Hostname}} {{.Node.Platform.OS}} {{.Node.Platform.Architecture}}',
        'T={{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}',
        'L={{range $k, $v := .Service.Labels}}{{$k}}={{$v}},{{end}}',
        'J={{join "-" .Service.Name .Task.Slot}}',
        'E=a=b{{"="}}c',
      ),
    ).toEqual([
      '{{.NotExpanded}}=foo',
      'NO_VALUE',
      'S=sid web é',
      'N=nid host linux x86_64',
      'T=tid web.2.tid 2',
      'L=tier=front,zone=é,',
      'J=web-2',
      'E=a=b=c',
    ]);
  });

  it('fills in hostname and the texts of mounts', () => {
    const task = taskWith({
      hostname: '{{.Service.Name}}-{{.Task.Slot}}',
      mounts: [
        {
          source: 'data-{{.Task.Slot}}',
          target: '/data/{{.Node.ID}}',
          volumeOptions: {
            labels: { '{{kept}}': '{{.Service.ID}}' },
            driverConfig: { name: '{{kept}}', options: { o: '{{.Node.Hostname}}' } },
          },
        },
      ],
    });
    const { hostname, mounts } = containerOf(expandTaskSpec(task, NODE));
    expect(hostname).toBe('web-2');
    expect(mounts[0]).toMatchObject({
      source: 'data-2',
      target: '/data/nid',
      volumeOptions: {
        labels: { '{{kept}}': 'sid' },
        driverConfig: { name: '{{kept}}', options: { o: 'host' } },
      },
    });
  });

  it('uses the node where there is no slot', () => {
    const task = taskWith({ env: ['A={{.Task.Slot}} {{.Task.Name}}'] }, 0n);
    expect(containerOf(expandTaskSpec(task, undefined)).env).toEqual(['A=nid web.nid.tid']);
  });

  it('leaves node facts empty while the node is not described', () => {
    const task = taskWith({ env: ['A={{.Node.Hostname}}|{{.Node.Platform.OS}}|'] });
    expect(containerOf(expandTaskSpec(task, undefined)).env).toEqual(['A=||']);
  });

  it('gives the very same task back where nothing is a template', () => {
    const task = taskWith({ env: ['A=b'], mounts: [{ source: 'a', target: '/b' }] });
    expect(expandTaskSpec(task, NODE)).toBe(task);
    const attachment = create(TaskSchema, { spec: { runtime: { case: 'attachment', value: {} } } });
    expect(expandTaskSpec(attachment, NODE)).toBe(attachment);
    expect(expandTaskSpec(create(TaskSchema), NODE)).toBeDefined();
  });

  it('does not change the task it was given', () => {
    const task = taskWith({ env: ['A={{.Task.ID}}'] });
    expandTaskSpec(task, NODE);
    expect(containerOf(task).env).toEqual(['A={{.Task.ID}}']);
  });

  it('offers neither secrets nor environment', () => {
    expect(() => expandEnv('A={{secret "x"}}')).toThrow('function "secret" not defined');
    expect(() => expandEnv('A={{env "x"}}')).toThrow('function "env" not defined');
  });

  it('says where an expansion failed', () => {
    expect(() => expandEnv('A={{.Nope}}')).toThrow(
      'expanding env failed: expanding env "A={{.Nope}}": template: expansion:1:2: executing "expansion" at <.Nope>: can\'t evaluate field Nope in type *template.Context',
    );
    expect(() => expandEnv('A={{.Service.Labels.none}}')).toThrow('map has no entry for key "none"');
    expect(() => expandTaskSpec(taskWith({ hostname: '{{' }), NODE)).toThrow(
      'expanding hostname failed: template: expansion:1: unclosed action',
    );
    expect(() => expandTaskSpec(taskWith({ mounts: [{ source: '{{.X}}' }] }), NODE)).toThrow(
      'expanding mounts failed: expanding mount source',
    );
  });
});

describe('checking the templates of a spec', () => {
  const check = (container: object) =>
    checkTaskTemplates(create(TaskSpecSchema, { runtime: { case: 'container', value: container } }));

  it('accepts what can be expanded for some task', () => {
    expect(check({ env: ['A={{.Task.Slot}}'], hostname: '{{.Node.Hostname}}' })).toBeUndefined();
    expect(checkTaskTemplates(create(TaskSpecSchema))).toBeUndefined();
  });

  it('says what is wrong', () => {
    expect(check({ hostname: '{{.Bad}}' })).toContain("can't evaluate field Bad");
    expect(check({ env: ['A={{range 100000000}}{{end}}'] })).toContain('takes more than');
  });
});

describe('expanding a payload', () => {
  const secret = create(SecretSchema, { id: 's1', spec: { data: new Uint8Array([0xff, 0x41]) } });
  const config = create(ConfigSchema, { id: 'c1', spec: { data: new TextEncoder().encode('plain {{.Kept}}') } });
  const sources = {
    secret: (id: string): Secret | undefined => (id === 's1' ? secret : undefined),
    config: (id: string): Config | undefined => (id === 'c1' ? config : undefined),
  };
  const task = taskWith({
    env: ['FOO=bar=baz', 'EMPTY'],
    secrets: [
      { secretId: 's1', target: { case: 'file', value: { name: 'file' } } },
      { secretId: 's2', target: { case: 'file', value: { name: 'gone' } } },
    ],
    configs: [
      { configId: 'c1', target: { case: 'file', value: { name: '/etc/x' } } },
      { configId: 'c1', target: { case: 'runtime', value: {} } },
    ],
  });
  const expand = (text: string, name = 'golang') => {
    const payload = new TextEncoder().encode(text);
    const templating = { $typeName: 'docker.swarmkit.v1.Driver' as const, name, options: {} };
    const { data, sensitive } = expandPayload('config c', templating, payload, task, NODE, sources);
    return [Buffer.from(data).toString('latin1'), sensitive] as const;
  };

  it('knows the task, its environment, its secrets and its configs', () => {
    expect(expand('{{.Service.Name}} {{env "FOO"}}|{{env "EMPTY"}}|{{env "HOME"}}')).toEqual(['web bar=baz||', false]);
    expect(expand('{{config "/etc/x"}}')).toEqual(['plain {{.Kept}}', false]);
    expect(expand('{{.Context.Task.ID}}')).toEqual(['tid', false]);
  });

  it('marks what was made from a secret, and keeps its bytes', () => {
    expect(expand('x{{secret "file"}}y')).toEqual(['x\xffAy', true]);
  });

  it('refuses what the task does not reference, and other kinds of templating', () => {
    expect(() => expand('{{secret "other"}}')).toThrow(
      'failed to expand templated config c: template: expansion:1:2: executing "expansion" at <secret "other">: error calling secret: secret target other not found',
    );
    expect(() => expand('{{secret "gone"}}')).toThrow('secret s2 is not available');
    expect(() => expand('{{config "other"}}')).toThrow('config target other not found');
    expect(() => expand('{{env 1}}')).toThrow('expected string; found 1');
    expect(() => expand('x', 'jinja')).toThrow('unrecognized template type "jinja"');
  });
});
