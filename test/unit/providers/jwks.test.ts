import { generateKeyPair, jwtVerify, SignJWT, createRemoteJWKSet, importJWK } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jwksCase, verifies } from '../../contract/cases/jwks.ts';
import { describeIdentityFaults } from '../../contract/describe-identity-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { identityHarness } from '../../contract/identity-harness.ts';

const { provider } = jwksCase();
const TOKEN = '00000000-0000-4000-8000-000000000001';

describe('signing keys', () => {
  describeProvider('Signing keys', identityHarness(jwksCase()));
  describeIdentityFaults('Signing keys', jwksCase());

  it.each(['EdDSA', 'ES256', 'RS256', 'PS256'] as const)(
    '%s: verify at jose by the published set, and no longer once they are ended',
    async (alg) => {
      const its = jwksCase(alg);
      const harness = identityHarness(its);
      await harness.start();
      try {
        const target = await harness.freshTarget();
        const ctx = harness.context(target);
        const { handle, material } = await provider.issue(target, TOKEN, { ...ctx, generation: 1 });
        await provider.verify(target, material, ctx);
        const { url } = harness.served();
        expect(await verifies(url, target.name, material.reveal())).toBe(true);
        await provider.revoke(target, handle, { endSessions: true }, ctx);
        expect(await verifies(url, target.name, material.reveal())).toBe(false);
        await expect(provider.verify(target, material, ctx)).rejects.toMatchObject({ code: 'ERR_REJECTED' });
      } finally {
        await harness.stop();
      }
    },
  );

  describe('at their endpoint', () => {
    const harness = identityHarness(jwksCase());
    beforeAll(async () => harness.start());
    afterAll(async () => harness.stop());

    it('are a JWK set with a lifetime, a tag and no private part; 304 to whoever has it', async () => {
      const target = await harness.freshTarget();
      const { handle } = await provider.issue(target, TOKEN, { ...harness.context(target), generation: 1 });
      const url = `${harness.served().url}/jwks/${target.name}`;
      const response = await fetch(url);
      expect(response.headers.get('content-type')).toBe('application/jwk-set+json');
      expect(response.headers.get('cache-control')).toBe('public, max-age=300');
      const { keys } = (await response.json()) as { keys: Record<string, string>[] };
      expect(keys.map(({ kid }) => kid)).toContain(handle.id);
      expect(keys).toHaveLength(2);
      for (const key of keys)
        expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
      const again = await fetch(url, { headers: { 'if-none-match': response.headers.get('etag') ?? '' } });
      expect([again.status, await again.text()]).toEqual([304, '']);
      expect((await fetch(`${url}-unknown`)).status).toBe(404);
      expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    });

    it.each([
      ['is down', { status: 503 }],
      ['answers garbage', { status: 204 }],
      ['is too slow', { delayMs: 5500 }],
    ])('%s: is tried again, and nothing is taken for verified', async (_name, trouble) => {
      const target = await harness.freshTarget();
      const ctx = harness.context(target);
      const { material } = await provider.issue(target, TOKEN, { ...ctx, generation: 1 });
      harness.served().trouble = trouble;
      const failures = await Promise.allSettled([
        provider.verify(target, material, ctx),
        provider.preflight(target, ctx),
      ]);
      harness.served().trouble = undefined;
      for (const failure of failures) {
        expect(failure).toMatchObject({ status: 'rejected', reason: { code: 'ERR_UNAVAILABLE' } });
      }
      await provider.verify(target, material, ctx);
    });

    it.each([-5, 5])('verify where the clock of whoever signs is %i minutes off', async (minutes) => {
      const target = await harness.freshTarget();
      const { material } = await provider.issue(target, TOKEN, { ...harness.context(target), generation: 1 });
      const { issuer, alg, jwk } = material.reveal();
      const now = Math.floor(Date.now() / 1000) + minutes * 60;
      const token = await new SignJWT({ iss: issuer, iat: now, nbf: now, exp: now + 60 })
        .setProtectedHeader({ alg, kid: jwk.kid })
        .sign(await importJWK(jwk, alg));
      const keys = createRemoteJWKSet(new URL(`${harness.served().url}/jwks/${target.name}`));
      const { clockSkewSeconds: clockTolerance } = target;
      await expect(jwtVerify(token, keys, { issuer, clockTolerance })).resolves.toBeDefined();
    });

    it('refuse what another key has signed under a published kid', async () => {
      const target = await harness.freshTarget();
      const { material } = await provider.issue(target, TOKEN, { ...harness.context(target), generation: 1 });
      const { issuer, alg, jwk } = material.reveal();
      const forged = await new SignJWT({ iss: issuer })
        .setProtectedHeader({ alg, kid: jwk.kid })
        .sign((await generateKeyPair(alg)).privateKey);
      const keys = createRemoteJWKSet(new URL(`${harness.served().url}/jwks/${target.name}`));
      await expect(jwtVerify(forged, keys, { issuer })).rejects.toMatchObject({
        code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
      });
    });
  });

  it('ask for a soak of the longest token, the skew and the cache', () => {
    const target = provider.target({ name: 'a', issuer: 'b', tokenLifetimeSeconds: 600, cacheSeconds: 100 });
    expect(provider.demands?.(target)).toMatchObject({ soakSeconds: 600 + 300 + 100 });
  });
});
