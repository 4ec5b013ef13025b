import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Mount_Type, nsFromDuration, PortConfig_Protocol, PortConfig_PublishMode } from '../../../api/index.js';
import { UsageError } from '../usage-error.js';
import { parseCount, parseCpus, parseInteger, parseRatio, parseSize } from './amounts.js';
import { parseAttachment } from './attachment.js';
import { splitList } from './csv.js';
import { parseDuration, parseSince } from './duration.js';
import { parseEnvironmentFile } from './env-file.js';
import { parseExternalCa } from './external-ca.js';
import { parseBind, parseNamedPipe, parseTmpfs, parseVolume, withMounts } from './mounts.js';
import { changeLabels, parseLabels, parseOptions } from './pairs.js';
import { parsePort } from './port.js';
import { parseUlimit } from './ulimit.js';

/** Every text is refused, by an error that names the flag. */
function refuses(parse: (flag: string, text: string) => unknown, texts: readonly string[]): void {
  for (const text of texts) {
    expect(() => parse('--flag', text), text).toThrow(UsageError);
    expect(() => parse('--flag', text), text).toThrow(/^--flag/);
  }
}

const host = (flag: string, text: string): ReturnType<typeof parsePort> =>
  parsePort(flag, text, PortConfig_PublishMode.HOST);

describe('lists', () => {
  test.each([
    ['', []],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    ['a,,b', ['a', '', 'b']],
    ['a,', ['a', '']],
    ['"a,b",c', ['a,b', 'c']],
    ['"say ""hi"""', ['say "hi"']],
    ['A="x"', ['A="x"']],
  ])('%s', (text, expected) => {
    expect(splitList('--flag', text)).toEqual(expected);
  });

  test('an open quote, or text after a closed one, is refused', () => {
    refuses(splitList, ['"a', '"a"b', 'a,"b']);
  });

  test('quoting brings any list through', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1 }), (values) => {
        const text = values.map((value) => `"${value.replaceAll('"', '""')}"`).join(',');
        expect(splitList('--flag', text)).toEqual(values);
      }),
    );
  });
});

describe('amounts', () => {
  test.each([
    ['512m', 512n << 20n],
    ['1.5g', 1536n << 20n],
    ['64KiB', 65_536n],
    ['10 MB', 10n << 20n],
    ['100b', 100n],
    ['0', 0n],
    ['7', 7n],
  ])('memory %s', (text, expected) => {
    expect(parseSize('--flag', text)).toBe(expected);
  });

  test('memory in no known unit, negative or endless is refused', () => {
    refuses(parseSize, ['', 'm', '12q', '-1', '1e9', '9999999999999p', '1,5g', '5 xb']);
  });

  test.each([
    ['0.5', 500_000_000n],
    ['2', 2_000_000_000n],
    ['.25', 250_000_000n],
    ['1.', 1_000_000_000n],
    ['0.000000001', 1n],
    ['1.5000000000', 1_500_000_000n],
  ])('cores %s', (text, expected) => {
    expect(parseCpus('--flag', text)).toBe(expected);
  });

  test('cores that are no number, or finer than a billionth, are refused', () => {
    refuses(parseCpus, ['', '.', '-1', 'one', '0.0000000001', '1e3']);
  });

  test('counts go from 0 to the largest signed number', () => {
    expect(parseCount('--flag', '0')).toBe(0n);
    expect(parseCount('--flag', '9223372036854775807')).toBe((1n << 63n) - 1n);
    refuses(parseCount, ['', '-1', '1.5', '9223372036854775808', 'many', '0x10']);
  });

  test('integers and ratios keep within their bounds', () => {
    expect(parseInteger('--flag', '-1000', -1000, 1000)).toBe(-1000);
    refuses((flag, text) => parseInteger(flag, text, -1000, 1000), ['-1001', '1001', '', 'x', '1.5']);
    expect(parseRatio('--flag', '0.25')).toBe(0.25);
    refuses(parseRatio, ['1.1', '-0.1', '', 'NaN', 'half']);
  });
});

describe('times', () => {
  test.each([
    ['0', 0n],
    ['10s', 10_000_000_000n],
    ['1m30s', 90_000_000_000n],
    ['1.5h', 5_400_000_000_000n],
    ['300ms', 300_000_000n],
    ['2us5ns', 2_005n],
    ['.5s', 500_000_000n],
    ['2160h', 7_776_000_000_000_000n],
  ])('duration %s', (text, expected) => {
    expect(nsFromDuration(parseDuration('--flag', text))).toBe(expected);
  });

  test('durations without unit, negative or longer than fits are refused', () => {
    refuses(parseDuration, ['', '10', '-1s', '1d', '1s2', 's', '1 s', '9999999999h']);
  });

  const now = Date.UTC(2026, 0, 31, 12);
  test.each([
    ['10m', BigInt(now / 1000 - 600)],
    ['2026-01-31T11:00:00Z', BigInt(now / 1000 - 3600)],
    ['2026-01-31', BigInt(Date.UTC(2026, 0, 31) / 1000)],
    ['1769860000', 1_769_860_000n],
  ])('since %s', (text, seconds) => {
    expect(parseSince('--flag', text, now).seconds).toBe(seconds);
  });

  test('what is no time is refused', () => {
    refuses((flag, text) => parseSince(flag, text, now), ['', 'yesterday', '2026-13-45', '-5m']);
  });
});

describe('ports', () => {
  test('name, target and published port with their protocol', () => {
    expect(host('--flag', 'web:80/udp:8080/udp')).toMatchObject({
      name: 'web',
      protocol: PortConfig_Protocol.UDP,
      targetPort: 80,
      publishedPort: 8080,
      publishMode: PortConfig_PublishMode.HOST,
    });
    expect(host('--flag', 'web:80')).toMatchObject({ protocol: PortConfig_Protocol.TCP, publishedPort: 0 });
    expect(host('--flag', ':80/SCTP')).toMatchObject({ name: '', protocol: PortConfig_Protocol.SCTP });
  });

  test('other forms, unknown protocols, mixed ones and impossible ports are refused', () => {
    refuses(host, ['', '80', 'web', 'web:80/xyz', 'web:80/tcp:80/udp', 'web:65536', 'web:0', 'web:80:', 'a:1:2:3']);
  });
});

describe('mounts', () => {
  test('binds, named pipes and volumes', () => {
    expect(parseBind('--bind', '/srv:/data:x')).toMatchObject({
      type: Mount_Type.BIND,
      source: '/srv',
      target: '/data:x',
    });
    expect(parseNamedPipe('--npipe', 'a:b')).toMatchObject({ type: Mount_Type.NPIPE, source: 'a', target: 'b' });
    expect(parseVolume('--volume', '/data')).toMatchObject({ type: Mount_Type.VOLUME, source: '', target: '/data' });
    refuses(parseBind, ['', '/srv', ':/data', '/srv:']);
    refuses(parseVolume, ['', 'name:/data']);
  });

  test('memory with all options', () => {
    expect(parseTmpfs('--tmpfs', '/run:size=64m,mode=755,ro,noexec')).toMatchObject({
      type: Mount_Type.TMPFS,
      target: '/run',
      readonly: true,
      tmpfsOptions: { sizeBytes: 64n << 20n, mode: 0o755, options: 'noexec' },
    });
    expect(parseTmpfs('--tmpfs', '/run').tmpfsOptions).toBeUndefined();
    expect(parseTmpfs('--tmpfs', '/run:ro,rw,exec')).toMatchObject({
      readonly: false,
      tmpfsOptions: { options: 'exec' },
    });
  });

  test('relative paths and unknown options are refused', () => {
    refuses(parseTmpfs, ['', 'run', '/run:size=x', '/run:mode=9', '/run:fast', '/run:', '/run:ro:rw']);
  });

  test('a mount takes the place of the one at the same path', () => {
    const present = [parseVolume('', '/a'), parseVolume('', '/b')];
    const added = parseBind('', '/srv:/a');
    expect(withMounts(present, [added])).toEqual([present[1], added]);
  });
});

describe('other values', () => {
  test('kernel limits', () => {
    expect(parseUlimit('--ulimit', 'nofile=1024:2048')).toMatchObject({ name: 'nofile', soft: 1024n, hard: 2048n });
    expect(parseUlimit('--ulimit', 'core=-1')).toMatchObject({ soft: -1n, hard: -1n });
    refuses(parseUlimit, ['nofile', 'files=1', 'nofile=2:1', 'nofile=-1:5', 'nofile=1:2:3', 'nofile=a']);
  });

  test('attachments', () => {
    expect(parseAttachment('--secret', 'pw')).toEqual({ name: 'pw', target: 'pw' });
    expect(parseAttachment('--secret', 'pw: file')).toEqual({ name: 'pw', target: 'file' });
    refuses(parseAttachment, ['', ':file', 'pw:', 'a:b:c']);
  });

  test('labels and options', () => {
    expect(parseLabels('--label', ['a=b', ' c = d=e '])).toEqual({ a: 'b', c: 'd=e' });
    expect(parseOptions('--log-opt', ['a', 'b='])).toEqual({ a: '', b: '' });
    refuses((flag, text) => parseLabels(flag, [text]), ['a', '=b', '']);
    refuses((flag, text) => parseOptions(flag, [text]), ['=b']);
    expect(changeLabels({ a: '1', b: '2' }, { addLabel: ['c=3'], rmLabel: ['a'] })).toEqual({ b: '2', c: '3' });
    expect(changeLabels({ a: '1' }, { label: ['x=y'] })).toEqual({ x: 'y' });
  });

  test('external signing services', () => {
    expect(parseExternalCa('--external-ca', 'protocol=cfssl,url=https://ca:1/sign,x=y')).toMatchObject({
      url: 'https://ca:1/sign',
      options: { x: 'y' },
    });
    refuses(parseExternalCa, [
      '',
      'url=https://ca',
      'protocol=cfssl',
      'protocol=acme,url=https://ca',
      'protocol=cfssl,url',
    ]);
  });

  test('environment files', () => {
    const content = new TextEncoder().encode('# comment\nA=1\r\n\n  B=no: bad\nC=a b=c\n');
    expect(() => parseEnvironmentFile('--env-file', content)).toThrow(/^--env-file/);
    expect(parseEnvironmentFile('--env-file', new TextEncoder().encode('# x\nA=1\r\n\nC=a b=c'))).toEqual([
      'A=1',
      'C=a b=c',
    ]);
  });
});
