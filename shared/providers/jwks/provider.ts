import { CAPABILITIES } from '../../domain/capabilities.ts';
import { entryOf, type Fresh, type SetRef } from '../../domain/directory.ts';
import { endKey } from '../../http/kms.ts';
import { awsOf } from '../aws-iam/user.ts';
import { addressOf, assertServed } from '../identity/served.ts';
import {
  endIdentity,
  handOver,
  identitiesOf,
  listIdentities,
  looked,
  takeIdentity,
} from '../identity/steps.ts';
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

const FACTS = CAPABILITIES['signing-key/jwks'];

/**
 * Keys with which agents sign tokens, verified by whoever reads the published set. The next key is always published
 * already: a rotation takes it, once every verifier must have read it, and publishes another. The old one stays until the
 * last token that it signed has expired.
 */
export const jwksProvider: CredentialProvider<JwksTarget, JwksMaterial> = {
  type: 'signing-key',
  provider: 'jwks',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,
  needsAdmin: FACTS.needsAdmin,
  target: (input) => form.target(input, 'docs/providers/jwks.md'),
  storedTarget: (input) => form.storedTarget(input),
  identity: ({ name }) => `jwks:${name}`,
  demands: ({ tokenLifetimeSeconds, cacheSeconds, clockSkewSeconds }) => ({
    soakSeconds: tokenLifetimeSeconds + clockSkewSeconds + cacheSeconds,
    why: 'tokens that a signing key has made outlive its last use',
  }),
  material: parseMaterial,
  serialize: (secret) => secret.map((fields) => JSON.stringify(fields)),
  // The ARN of a key in KMS is no secret, but it is what tells one version of the secret from another.
  secretPart: (secret) => secret.map(({ jwk, keyArn }) => keyArn ?? privateOf(jwk)),
  assertBelongs: (target, { id }, secret) => assertOurs(target, secret, id),

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
      maxLive: FACTS.overlap.maxLive,
      make: async () => (isInKms ? makeKmsKey(awsOf(ctx), alg, identitiesOf(ctx).stage, name) : makeKey(alg)),
      ...(isInKms ? { discard: async ({ ref = '' }: Fresh) => endKey(awsOf(ctx), ref) } : {}),
    };
    const { handle, secret } = await takeIdentity(use, token, ctx);
    return {
      handle,
      material: materialOf(target, secret),
    };
  },

  async activate(target, _token, { handle, material: secret }, ctx) {
    assertOurs(target, secret, handle.id);
    await handOver(set(target), handle, ctx);
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

  async revoke(target, handle, _options, ctx) {
    // First what verifiers see; a key that is still there signs what nobody takes.
    const done = await endIdentity(set(target), handle, ctx);
    if (target.held === 'kms') {
      const entry = entryOf(await identitiesOf(ctx).directory.read(set(target)), handle.id);
      if (entry?.ref !== undefined) await endKey(awsOf(ctx), entry.ref);
    }
    return done;
  },
  deactivation: async (target, { id }, ctx) => looked(set(target), id, ctx),
  list: async (target, ctx) => listIdentities(set(target), ctx),
};

function set(target: JwksTarget): SetRef {
  return setOf('jwks', target);
}
