import { createRemoteJWKSet, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { TAG } from '../../../shared/names.ts';
import { signInKms } from '../../../shared/providers/jwks/kms.ts';
import type { JwksMaterial, JwksTarget } from '../../../shared/providers/jwks/material.ts';
import { jwksProvider } from '../../../shared/providers/jwks/provider.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { identityHarness, type IdentityCase } from '../../contract/identity-harness.ts';
import { FakeKms, type FakeKmsKey } from '../../fakes/kms.ts';

const TOKEN = '00000000-0000-4000-8000-000000000001';
const kms = new FakeKms();

/** A token as an agent has it signed: the private key stays where it is. */
async function signed({ issuer, alg, jwk, keyArn = '' }: JwksMaterial): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const text = [
    { alg, kid: jwk.kid },
    { iss: issuer, iat: now, exp: now + 60 },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${text}.${await signInKms(kms, keyArn, alg, text)}`;
}

function kmsCase(alg: JwksTarget['alg']): IdentityCase<JwksTarget, JwksMaterial> {
  return {
    provider: jwksProvider,
    kind: 'jwks',
    aws: kms,
    target: (name) => ({ name, issuer: name, alg, held: 'kms' }),
    takes: async (url, { name, issuer }, material) => {
      const keys = createRemoteJWKSet(new URL(`${url}/jwks/${name}`));
      const verified = async () => jwtVerify(await signed(material), keys, { issuer, algorithms: [alg] });
      return verified().then(
        () => true,
        () => false,
      );
    },
    // Another key of the account, which signs as well.
    wrong: (material) => ({
      ...material,
      keyArn: [...kms.keys.keys()].find((arn) => arn !== material.keyArn) ?? '',
    }),
    other: (material) => ({ ...material, issuer: 'somebody else' }),
  };
}

describe('signing keys that stay in KMS', () => {
  describeProvider('Signing keys in KMS', identityHarness(kmsCase('EdDSA')));

  async function begin(alg: JwksTarget['alg'] = 'EdDSA') {
    const harness = identityHarness(kmsCase(alg));
    await harness.start();
    const target = await harness.freshTarget();
    const ctx = harness.context(target);
    const issue = async () => jwksProvider.issue(target, TOKEN, { ...ctx, generation: 1 });
    const keysOf = (): FakeKmsKey[] =>
      [...kms.keys.values()].filter(({ tags }) => tags[TAG.set] === target.name);
    return { harness, target, ctx, issue, keysOf, [Symbol.asyncDispose]: async () => harness.stop() };
  }

  it.each(['EdDSA', 'ES256', 'RS256', 'PS256'] as const)(
    '%s: verify at jose whatever their numbers are, and sign no more once they are ended',
    async (alg) => {
      await using one = await begin(alg);
      const { target, ctx, harness } = one;
      const { handle, material } = await one.issue();
      await jwksProvider.verify(target, material, ctx);
      const keys = createRemoteJWKSet(new URL(`${harness.served().url}/jwks/${target.name}`));
      // One of 256 numbers of a curve begins with a byte that is zero.
      for (let count = 0; count < (alg === 'ES256' ? 600 : 3); count++)
        await jwtVerify(await signed(material.reveal()), keys, { issuer: target.issuer });
      for (let twice = 0; twice < 2; twice++)
        await jwksProvider.revoke(target, handle, { endSessions: true, compromised: true }, ctx);
      await expect(signed(material.reveal())).rejects.toBeDefined();
      expect(one.keysOf().map(({ state }) => state)).toEqual(['PendingDeletion', 'Enabled']);
    },
  );

  it('carry the tags of their deployment and set; agents get no private part', async () => {
    await using one = await begin();
    const { material } = await one.issue();
    expect(one.keysOf()[0]?.tags).toEqual({
      [TAG.type]: 'signing-key',
      [TAG.stage]: 'test',
      [TAG.set]: one.target.name,
    });
    expect(material.reveal().jwk).not.toHaveProperty('d');
    const shown = await fetch(`${one.harness.served().url}/jwks/${one.target.name}`);
    expect(await shown.text()).not.toContain('arn:aws:kms');
  });

  it('are not left behind where two take at once', async () => {
    await using one = await begin();
    const [first, second] = await Promise.all([one.issue(), one.issue()]);
    expect(first.material.reveal()).toEqual(second.material.reveal());
    expect(one.keysOf().filter(({ state }) => state === 'Enabled')).toHaveLength(2);
  });

  it.each(['CreateKey', 'GetPublicKey', 'Sign', 'DisableKey'])(
    'stop and page where the role lacks %s',
    async (operation) => {
      await using one = await begin();
      const { handle, material } = await one.issue();
      kms.denied.add(operation);
      try {
        const next = { ...one.ctx, generation: 2, current: handle };
        const steps: Readonly<Record<string, () => Promise<unknown>>> = {
          Sign: async () => jwksProvider.verify(one.target, material, one.ctx),
          DisableKey: async () => jwksProvider.revoke(one.target, handle, { endSessions: true }, one.ctx),
        };
        const step = steps[operation] ?? (async () => jwksProvider.issue(one.target, 'another', next));
        await expect(step()).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
      } finally {
        kms.denied.clear();
      }
    },
  );
});
