import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { CertificateRevoked } from '../../shared/api/messages.ts';
import { openssl } from '../support/openssl.ts';
import { HandshakeLoad } from './handshake-load.ts';
import type { Leading } from './identities-under-load.ts';
import { nameOf } from './upstreams/played.ts';

/** Certificates that the deployed function has AWS Private CA issue, which agents use, and one of which is revoked alone. */
export function testPrivateCertificates(deployed: () => Leading): void {
  test('agents greet each other with certificates of AWS Private CA, of which one is revoked by itself', async () => {
    const { world, upstreams, read, rotate, watched } = deployed();
    const one = upstreams.find(({ key }) => key === 'certificate-authority/private-ca');
    if (one?.listOf === undefined) throw new Error('AWS Private CA is not played');
    const trust = { credential: nameOf(one), set: 'shop-pca', principal: one.principal ?? '' };
    await using handshakes = await HandshakeLoad.start(world, trust, 2);
    const greeted = async (): Promise<string[]> => {
      const both = await Promise.all([handshakes.check(0), handshakes.check(1)]);
      return both.flatMap(({ ok, why }) => (ok ? [] : [why]));
    };
    expect(await greeted()).toEqual([]);

    const [kept, gone] = [handshakes.shown(0), handshakes.shown(1)];
    const { serialNumber } = new X509Certificate(gone.certificate);
    const wish = ['--certificate', serialNumber, '--incident', 'INC-8', '--reason', 'test', '--yes'];
    const revoke = ['revoke', nameOf(one), ...wish];
    expect(await rekeyJson<CertificateRevoked>(revoke, world.env)).toMatchObject({
      changed: true,
      listed: true,
      tellsBy: ['crl'],
    });
    const list = await one.listOf(await read(one));
    const judged = ({ certificate, bundle }: typeof gone): string => {
      const asks = ['verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem', 'leaf.pem'];
      return openssl(asks, { 'ca.pem': bundle, 'crl.pem': list, 'leaf.pem': certificate }).output;
    };
    expect(judged(gone)).toContain('certificate revoked');
    expect(judged(kept)).not.toContain('certificate revoked');

    const id = await rotate(one);
    expect((await watched.over(nameOf(one), id)).phase).toBe('completed');
    expect(await greeted()).toEqual([]);
  });
}
