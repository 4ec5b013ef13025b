import type { DescMethod } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';

import { Code, SwarmError } from '../base/index.js';
import { admit, refusal, type AdmittedCaller, type Caller } from './authorization.js';
import { forwardedHeaders, readForwardedCall, roleOf } from './forwarding.js';
import { CA, Control, Dispatcher } from './messages.js';
import type { PeerIdentity } from './rpc.js';

const view = { clusterId: 'c1', isRevoked: (nodeId: string) => nodeId === 'removed' };
const NO_HEADERS = new Map<string, string>();
const manager: PeerIdentity = { nodeId: 'm', role: 'swarm-manager', clusterId: 'c1' };
const worker: PeerIdentity = { nodeId: 'w', role: 'swarm-worker', clusterId: 'c1' };
const { getRootCACertificate } = CA.method;
const { heartbeat } = Dispatcher.method;
const { listNodes } = Control.method;

describe('refusal', () => {
  it('says why', () => {
    const reason = (peer: PeerIdentity | undefined): string | undefined => refusal(listNodes, peer, view)?.message;
    expect(reason(manager)).toBeUndefined();
    const prefix = 'permission denied for docker.swarmkit.v1.Control.ListNodes: ';
    expect(reason(undefined)).toBe(`${prefix}no client certificate was presented`);
    expect(reason(worker)).toBe(`${prefix}the role swarm-worker may not call it`);
    expect(reason({ ...manager, nodeId: 'removed' })).toBe(`${prefix}node removed was removed from the cluster`);
    expect(reason({ ...manager, clusterId: 'c2' })).toBe(
      `${prefix}the certificate belongs to cluster "c2", not to this one`,
    );
    expect(refusal(listNodes, worker, view)?.code).toBe(Code.PERMISSION_DENIED);
  });

  it('refuses everybody a method that declares nothing', () => {
    const bare = { ...listNodes, proto: { ...listNodes.proto, options: undefined } } as DescMethod;
    expect(refusal(bare, manager, view)?.message).toContain('declares no authorization');
  });

  it('lets everybody call what is insecure', () => {
    for (const peer of [undefined, worker, { ...worker, clusterId: 'x' }]) {
      expect(refusal(getRootCACertificate, peer, view)).toBeUndefined();
    }
  });
});

describe('admit', () => {
  const from = (caller: Partial<Caller>): Caller => ({ peer: undefined, remoteAddr: '1.2.3.4:5', ...caller });

  it('hands the identity and address of the connection on', () => {
    expect(admit(heartbeat, from({ peer: worker }), NO_HEADERS, view)).toEqual({
      peer: worker,
      remoteAddr: '1.2.3.4:5',
    });
  });

  it('gives handlers no identity that counts nowhere else', () => {
    for (const peer of [
      { ...worker, nodeId: 'removed' },
      { ...worker, clusterId: 'c2' },
    ]) {
      expect(admit(getRootCACertificate, from({ peer }), NO_HEADERS, view)).toMatchObject({ peer: undefined });
    }
  });

  it('names what is wrong with a certificate, where one is needed', () => {
    const caller = from({ certificateProblem: 'the client certificate is not valid: CERT_HAS_EXPIRED' });
    expect(admit(heartbeat, caller, NO_HEADERS, view)).toMatchObject({
      code: Code.PERMISSION_DENIED,
      message: expect.stringContaining('CERT_HAS_EXPIRED'),
    });
    expect(admit(getRootCACertificate, caller, NO_HEADERS, view)).toMatchObject({ peer: undefined });
  });

  it('understands what forwardedHeaders wrote', () => {
    const headers = new Map([['redirect', 'x']]);
    const context = { peer: worker, remoteAddr: '9.9.9.9:9', headers, signal: new AbortController().signal };
    const sent = forwardedHeaders(context);
    expect(sent.get('redirect')).toBe('x');
    expect(readForwardedCall(sent)).toEqual({ peer: worker, remoteAddr: '9.9.9.9:9' });
    expect(admit(heartbeat, from({ peer: manager }), sent, view)).toEqual({
      peer: { ...worker, forwardedBy: 'm' },
      remoteAddr: '9.9.9.9:9',
    } satisfies AdmittedCaller);
    const anonymous = forwardedHeaders({ ...context, peer: undefined });
    expect(anonymous.get('forwarded_cert_cn')).toBe('');
    expect(admit(heartbeat, from({ peer: manager }), anonymous, view)).toBeInstanceOf(SwarmError);
    expect(admit(getRootCACertificate, from({ peer: manager }), anonymous, view)).toMatchObject({ peer: undefined });
  });

  it('forwards a forwarded call for the original caller', () => {
    const first = admit(heartbeat, from({ peer: manager }), forwardedHeadersOf(worker), view) as AdmittedCaller;
    const again = forwardedHeaders({ ...first, headers: NO_HEADERS, signal: new AbortController().signal });
    expect(readForwardedCall(again)).toEqual({ peer: worker, remoteAddr: '9.9.9.9:9' });
  });

  it('does not take a call for forwarded unless it says exactly so', () => {
    const headers = new Map([...forwardedHeadersOf(manager), ['forwarded_cert', 'TRUE']]);
    expect(admit(heartbeat, from({ peer: worker }), headers, view)).toMatchObject({ peer: worker });
  });
});

describe('roleOf', () => {
  it('finds the role among other units', () => {
    expect(roleOf(['x', 'swarm-worker'])).toBe('swarm-worker');
    expect(roleOf(['swarm-worker', 'swarm-manager'])).toBe('swarm-manager');
    expect(roleOf([])).toBeUndefined();
    expect(roleOf(['SWARM-MANAGER'])).toBeUndefined();
  });
});

function forwardedHeadersOf(peer: PeerIdentity): ReadonlyMap<string, string> {
  return forwardedHeaders({
    peer,
    remoteAddr: '9.9.9.9:9',
    headers: NO_HEADERS,
    signal: new AbortController().signal,
  });
}
