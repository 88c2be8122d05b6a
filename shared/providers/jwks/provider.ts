import { CAPABILITIES } from '../../domain/capabilities.ts';
import { entryOf, type Fresh, type SetRef } from '../../domain/directory.ts';
import { RekeyError } from '../../domain/errors.ts';
import { endKey } from '../../http/kms.ts';
import { awsOf } from '../aws-iam/user.ts';
import { identityProvider } from '../identity/provider.ts';
import { addressOf, assertServed } from '../identity/served.ts';
import { identitiesOf, takeIdentity } from '../identity/steps.ts';
import { setOf, timesOf } from '../identity/target.ts';
import type { CredentialProvider } from '../provider.ts';
import { makeKey, proveKey, signWithKey } from './keys.ts';
import { makeKmsKey, signInKms } from './kms.ts';
import {
  assertOurs,
  form,
  materialOf,
  parseMaterial,
  privateOf,
  type JwksMaterial,
  type JwksTarget,
} from './material.ts';

const set = (target: JwksTarget): SetRef => setOf('jwks', target);

const common = identityProvider<JwksTarget, JwksMaterial>({
  key: 'signing-key/jwks',
  set,
  form,
  assertOurs,
});

/**
 * Keys with which agents sign tokens, verified by whoever reads the published set. The next key is always published
 * already: a rotation takes it, once every verifier must have read it, and publishes another. The old one stays until the
 * last token that it signed has expired.
 */
export const jwksProvider: CredentialProvider<JwksTarget, JwksMaterial> = {
  ...common,
  demands: ({ tokenLifetimeSeconds, cacheSeconds, clockSkewSeconds }) => ({
    soakSeconds: tokenLifetimeSeconds + clockSkewSeconds + cacheSeconds,
    why: 'tokens that a signing key has made outlive its last use',
  }),
  material: parseMaterial,
  // The ARN of a key in KMS is no secret, but it is what tells one version of the secret from another.
  secretPart: (secret) => secret.map(({ jwk, keyArn }) => keyArn ?? privateOf(jwk)),

  async preflight(target, ctx) {
    await Promise.all([identitiesOf(ctx).directory.read(set(target)), assertServed(set(target), ctx)]);
    return [];
  },

  async issue(target, token, ctx) {
    const { name, alg, held } = target;
    const isInKms = held === 'kms';
    const use = {
      ref: set(target),
      times: timesOf(target),
      maxLive: CAPABILITIES['signing-key/jwks'].overlap.maxLive,
      make: async () => (isInKms ? makeKmsKey(awsOf(ctx), alg, identitiesOf(ctx).stage, name) : makeKey(alg)),
      ...(isInKms ? { discard: async ({ ref = '' }: Fresh) => endKey(awsOf(ctx), ref) } : {}),
    };
    const { handle, secret } = await takeIdentity(use, token, ctx);
    return {
      handle,
      material: materialOf(target, secret),
    };
  },

  async verify(target, secret, ctx) {
    assertOurs(target, secret);
    const { issuer, alg, jwk, keyArn } = secret.reveal();
    await proveKey({
      issuer,
      alg,
      kid: jwk.kid,
      url: addressOf(set(target), ctx),
      now: ctx.clock(),
      skewSeconds: target.clockSkewSeconds,
      sign: async (text) =>
        keyArn === undefined ? signWithKey(jwk, alg, text) : signInKms(awsOf(ctx), keyArn, alg, text),
    });
  },

  async publicKey(target, { id }, ctx) {
    if (target.held !== 'kms') return undefined;
    const entry = entryOf(await identitiesOf(ctx).directory.read(set(target)), id);
    if (entry !== undefined) return entry.document;
    throw new RekeyError('ERR_REJECTED', `${id} is not in the directory`, { remedy: 'start a new rotation' });
  },

  async revoke(target, handle, options, ctx) {
    // First what verifiers see; a key that is still there signs what nobody takes.
    const done = await common.revoke(target, handle, options, ctx);
    if (target.held === 'kms') {
      const entry = entryOf(await identitiesOf(ctx).directory.read(set(target)), handle.id);
      if (entry?.ref !== undefined) await endKey(awsOf(ctx), entry.ref);
    }
    return done;
  },
};
