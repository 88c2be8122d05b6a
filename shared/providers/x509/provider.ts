import { CAPABILITIES } from '../../domain/capabilities.ts';
import { plusSeconds, toInstant } from '../../domain/clock.ts';
import { entryOf, isHeld, type SetRef } from '../../domain/directory.ts';
import { endKey } from '../../http/kms.ts';
import { awsOf } from '../aws-iam/user.ts';
import { endedByHand } from '../identity/by-hand.ts';
import { askedFor, assertServed, unserved } from '../identity/served.ts';
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
import { idOf, makeAuthority, proveAuthority } from './authority.ts';
import { endingSoon, FORTNIGHT_SECONDS } from './ending.ts';
import { soakOf } from './leaves.ts';
import {
  assertOurs,
  form,
  material,
  materialOf,
  materialParser,
  mismatch,
  type X509Material,
  type X509Target,
} from './material.ts';

const FACTS = CAPABILITIES['certificate-authority/x509'];
const MONTH = 30 * 86_400;

/**
 * Certificate authorities whose keys are in KMS. Verifiers read a trust bundle, in which the next authority always is: a
 * rotation takes it, once every verifier must have read it, and publishes another. The old one stays until the last
 * certificate that it signed has ended.
 */
export const x509Provider: CredentialProvider<X509Target, X509Material> = {
  type: 'certificate-authority',
  provider: 'x509',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,
  needsAdmin: FACTS.needsAdmin,
  target: (input) => form.target(input, 'docs/providers/x509.md'),
  storedTarget: (input) => form.storedTarget(input),
  identity: ({ name }) => `bundles:${name}`,
  demands: (target) => {
    const soakSeconds = soakOf(target);
    return {
      soakSeconds,
      // Once as the next one, once signing, and once more for a rotation that is late.
      maxIntervalSeconds: Math.min(MONTH, Math.floor((target.caSeconds - soakSeconds) / 3)),
      why: 'certificates that an authority has signed outlive its last use',
    };
  },
  // It was made an interval before it signs; what it signs last is to live as long as any.
  endsAt: (target, from, intervalSeconds) =>
    plusSeconds(from, target.caSeconds - intervalSeconds - soakOf(target)),
  material: materialParser(material, 'keyArn'),
  serialize: (secret) => secret.map((fields) => JSON.stringify(fields)),
  // No secret, but what tells one version of it from another.
  secretPart: (secret) => secret.map(({ keyArn }) => keyArn),
  assertBelongs: (target, { id }, secret) => {
    assertOurs(target, secret);
    if (idOf(secret.reveal().certificate) !== id) throw mismatch('certificate');
  },

  async preflight(target, ctx) {
    const [found] = await Promise.all([
      identitiesOf(ctx).directory.read(set(target)),
      assertServed(set(target), ctx),
    ]);
    return endingSoon(found?.entries.filter(isHeld) ?? [], {
      field: 'target.caSeconds',
      // What is rotated in time has a third of its life left, which may be less.
      withinSeconds: Math.min(FORTNIGHT_SECONDS, target.caSeconds / 3),
      now: ctx.clock(),
    });
  },

  async issue(target, token, ctx) {
    const aws = awsOf(ctx);
    const { handle, secret } = await takeIdentity(
      {
        ref: set(target),
        times: timesOf(target),
        maxLive: FACTS.overlap.maxLive,
        make: async () => makeAuthority(aws, target, identitiesOf(ctx), ctx.clock()),
        discard: async ({ ref = '' }) => endKey(aws, ref),
        lastsUntil: plusSeconds(toInstant(ctx.clock()), soakOf(target)),
      },
      token,
      ctx,
    );
    return { handle, material: materialOf(material, target, secret) };
  },

  async activate(target, _token, { handle, material: secret }, ctx) {
    this.assertBelongs(target, handle, secret);
    await handOver(set(target), handle, ctx);
  },

  async verify(target, secret, ctx) {
    assertOurs(target, secret);
    const response = await askedFor(set(target), ctx);
    if (response?.status !== 200) throw unserved();
    const bundle = await response.text();
    await proveAuthority(awsOf(ctx), { target, material: secret.reveal(), bundle, now: ctx.clock() });
  },

  async revoke(target, handle, _options, ctx) {
    // First what verifiers trust; a key that is still there signs what nobody takes.
    const done = await endIdentity(set(target), handle, ctx);
    const entry = entryOf(await identitiesOf(ctx).directory.read(set(target)), handle.id);
    if (entry?.ref !== undefined) await endKey(awsOf(ctx), entry.ref);
    return done;
  },
  deactivation: async (target, { id }, ctx) => looked(set(target), id, ctx),
  list: async (target, ctx) => listIdentities(set(target), ctx),
  manualRevocation: (target, handle) => endedByHand('bundles', target, handle),
};

function set(target: X509Target): SetRef {
  return setOf('bundles', target);
}
