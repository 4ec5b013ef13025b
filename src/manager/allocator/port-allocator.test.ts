import { create } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  EndpointSchema,
  EndpointSpecSchema,
  PortConfig_Protocol,
  PortConfig_PublishMode,
  PortConfigSchema,
  ServiceSchema,
  ServiceSpecSchema,
  type PortConfig,
  type Service,
} from '../../api/index.js';
import { PortAllocator, type PortAllocation } from './port-allocator.js';

const { TCP, UDP, SCTP } = PortConfig_Protocol;
const { HOST } = PortConfig_PublishMode;

function port(targetPort: number, publishedPort = 0, change: Partial<PortConfig> = {}): PortConfig {
  return { ...create(PortConfigSchema, { targetPort, publishedPort }), ...change };
}

function service(id: string, ports: readonly PortConfig[], allocated?: readonly PortConfig[]): Service {
  return {
    ...create(ServiceSchema, { id }),
    spec: { ...create(ServiceSpecSchema), endpoint: { ...create(EndpointSpecSchema), ports: [...ports] } },
    ...(allocated === undefined ? {} : { endpoint: { ...create(EndpointSchema), ports: [...allocated] } }),
  };
}

function published(allocation: PortAllocation): readonly number[] {
  expect(allocation.kind).toBe('allocated');
  return allocation.kind === 'allocated' ? allocation.ports.map((each) => each.publishedPort) : [];
}

function refusal(allocation: PortAllocation): string {
  expect(allocation.kind).toBe('conflict');
  return allocation.kind === 'conflict' ? allocation.reason : '';
}

describe('explicit ports', () => {
  it('belong to one service at a time, for each protocol by itself', () => {
    const ports = new PortAllocator();
    expect(published(ports.allocate(service('a', [port(80, 80)])))).toEqual([80]);
    expect(refusal(ports.allocate(service('b', [port(81, 80)])))).toBe('port 80/tcp is in use by service a');
    expect(published(ports.allocate(service('c', [port(80, 80, { protocol: UDP })])))).toEqual([80]);
    expect(published(ports.allocate(service('d', [port(80, 80, { protocol: SCTP })])))).toEqual([80]);
    expect(refusal(ports.allocate(service('e', [port(80, 80, { protocol: UDP })])))).toContain('80/udp');
  });

  it('are free again when the service is gone, or no longer wants them', () => {
    const ports = new PortAllocator();
    ports.allocate(service('a', [port(80, 80)]));
    expect(ports.release('a')).toBe(true);
    expect(ports.release('a')).toBe(false);
    expect(published(ports.allocate(service('b', [port(80, 80)])))).toEqual([80]);
    expect(ports.allocate(service('b', [port(80, 81)]))).toMatchObject({ kind: 'allocated', freed: true });
    expect(published(ports.allocate(service('c', [port(80, 80)])))).toEqual([80]);
  });

  it('may get another target', () => {
    const ports = new PortAllocator();
    ports.allocate(service('a', [port(80, 8080)]));
    const allocation = ports.allocate(service('a', [port(81, 8080)]));
    expect(allocation).toMatchObject({
      kind: 'allocated',
      freed: false,
      ports: [{ targetPort: 81, publishedPort: 8080 }],
    });
  });

  it.each([65_536, 4_000_000_000])('outside of the range are refused: %i', (number) => {
    expect(refusal(new PortAllocator().allocate(service('a', [port(80, number)])))).toBe(
      `port ${number} is not between 1 and 65535`,
    );
  });

  it('in the dynamic range are not handed out again', () => {
    const ports = new PortAllocator();
    ports.allocate(service('a', [port(80, 30_000)]));
    expect(published(ports.allocate(service('b', [port(80)])))).toEqual([30_001]);
  });

  it('go before dynamic ones of the same service', () => {
    const ports = new PortAllocator();
    expect(published(ports.allocate(service('a', [port(80), port(81, 30_000)])))).toEqual([30_001, 30_000]);
  });
});

describe('dynamic ports', () => {
  it('are serial: not reused before the range is through', () => {
    const ports = new PortAllocator();
    expect(published(ports.allocate(service('a', [port(80)])))).toEqual([30_000]);
    ports.release('a');
    expect(published(ports.allocate(service('b', [port(80)])))).toEqual([30_001]);
  });

  it('stick to name, protocol and target, also when ports are added', () => {
    const ports = new PortAllocator();
    expect(published(ports.allocate(service('a', [port(80), port(443)])))).toEqual([30_000, 30_001]);
    expect(published(ports.allocate(service('a', [port(22), port(443), port(80)])))).toEqual([30_002, 30_001, 30_000]);
    expect(published(ports.allocate(service('a', [port(443, 0, { name: 'https' })])))).toEqual([30_003]);
  });

  it('of the same target are two', () => {
    const ports = new PortAllocator();
    const twice = service('a', [port(80), port(80)]);
    expect(published(ports.allocate(twice))).toEqual([30_000, 30_001]);
    expect(published(ports.allocate(twice))).toEqual([30_000, 30_001]);
  });

  it('run out after 2,768', () => {
    const ports = new PortAllocator();
    const all = Array.from({ length: 2_768 }, (_, index) => port(index + 1));
    expect(published(ports.allocate(service('a', all)))).toHaveLength(2_768);
    expect(refusal(ports.allocate(service('b', [port(80)])))).toBe('no tcp port is free between 30000 and 32767');
    expect(published(ports.allocate(service('c', [port(80, 0, { protocol: UDP })])))).toEqual([30_000]);
  });
});

describe('host ports', () => {
  it('are passed through and not allocated', () => {
    const ports = new PortAllocator();
    const host = port(80, 80, { publishMode: HOST });
    expect(published(ports.allocate(service('a', [host, port(80, 0, { publishMode: HOST })])))).toEqual([80, 0]);
    expect(published(ports.allocate(service('b', [host])))).toEqual([80]);
    expect(published(ports.allocate(service('c', [port(80, 80)])))).toEqual([80]);
  });
});

describe('conflicts', () => {
  it('take nothing, and keep what the service holds and still wants', () => {
    const ports = new PortAllocator();
    ports.allocate(service('a', [port(80, 80)]));
    ports.allocate(service('b', [port(81, 81), port(82, 82)]));
    expect(ports.allocate(service('b', [port(81, 81), port(83, 83), port(80, 80)]))).toMatchObject({
      kind: 'conflict',
      freed: true,
    });
    expect(published(ports.allocate(service('c', [port(82, 82), port(83, 83)])))).toEqual([82, 83]);
    expect(refusal(ports.allocate(service('d', [port(81, 81)])))).toBe('port 81/tcp is in use by service b');
  });
});

describe('restore', () => {
  it('takes over what stored services hold, before anything is given out', () => {
    const ports = new PortAllocator();
    const stored = service('a', [port(80)], [port(80, 30_000)]);
    ports.restore(stored);
    expect(published(ports.allocate(service('b', [port(80)])))).toEqual([30_001]);
    expect(published(ports.allocate(stored))).toEqual([30_000]);
  });

  it('does not take over what the spec no longer asks for', () => {
    const ports = new PortAllocator();
    ports.restore(service('a', [port(80, 81)], [port(80, 80)]));
    expect(published(ports.allocate(service('b', [port(80, 80)])))).toEqual([80]);
  });
});

describe('whatever happens', () => {
  it('no port is handed out twice, and none is lost', () => {
    const portConfig = fc
      .tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(0, 0, 80, 81, 30_000, 30_001), fc.constantFrom(TCP, UDP))
      .map(([target, number, protocol]) => port(target, number, { protocol }));
    const step = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.option(fc.array(portConfig, { maxLength: 4 })));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const ports = new PortAllocator();
        const given = new Map<string, readonly PortConfig[]>();
        for (const [id, wanted] of steps) {
          if (wanted === null) {
            ports.release(id);
            given.delete(id);
            continue;
          }
          const allocation = ports.allocate(service(id, wanted));
          if (allocation.kind === 'allocated') given.set(id, allocation.ports);
          else given.delete(id);
          const all = [...given.values()].flat().map((each) => `${each.protocol}/${each.publishedPort}`);
          expect(new Set(all).size).toBe(all.length);
          expect(all.some((each) => each.endsWith('/0'))).toBe(false);
        }
        for (const id of ['a', 'b', 'c']) ports.release(id);
        expect(published(ports.allocate(service('d', [port(1, 80), port(1, 30_000), port(1, 30_001)])))).toHaveLength(
          3,
        );
      }),
    );
  });
});
