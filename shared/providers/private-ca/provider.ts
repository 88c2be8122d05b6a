import { CAPABILITIES } from '../../domain/capabilities.ts';
import { plusSeconds, toInstant } from '../../domain/clock.ts';
import { entryOf, isHeld, type DirectorySet, type SetRef } from '../../domain/directory.ts';
import { disableAuthority } from '../../http/private-ca.ts';
import { awsOf } from '../aws-iam/user.ts';
import { claimsIn } from '../http/pool-claims.ts';
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
import type { CredentialProvider, Notice, ProviderContext } from '../provider.ts';
import { certificatesIn, idOf } from '../x509/authority.ts';
import { endingSoon, FORTNIGHT_SECONDS } from '../x509/ending.ts';
import { soakOf } from '../x509/leaves.ts';
import { assertOurs, materialOf, materialParser, mismatch } from '../x509/material.ts';
import { neededUntil, nextAuthority, obstaclesOf, proveAuthority, REFILL } from './authorities.ts';
import { form, material, type PrivateCaMaterial, type PrivateCaTarget } from './material.ts';

const FACTS = CAPABILITIES['certificate-authority/private-ca'];
const MONTH = 30 * 86_400;

/**
 * Certificate authorities of AWS Private CA, which a person makes (one costs up to $400 a month) and declares. A rotation takes
 * the one that the trust bundle has shown before anybody met it, and publishes another of the list; all else is as with
 * authorities whose keys are in KMS.
 */
export const privateCaProvider: CredentialProvider<PrivateCaTarget, PrivateCaMaterial> = {
  type: 'certificate-authority',
  provider: 'private-ca',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,
  needsAdmin: FACTS.needsAdmin,
  changeable: ['authorities'],
  target: (input) => form.target(input, 'docs/providers/private-ca.md'),
  storedTarget: (input) => form.storedTarget(input),
  identity: ({ name }) => `bundles:${name}`,
  demands: (target) => ({
    soakSeconds: soakOf(target),
    why: 'certificates that an authority has signed outlive its last use',
  }),
  material: materialParser(material, 'authorityArn'),
  serialize: (secret) => secret.map((fields) => JSON.stringify(fields)),
  // No secret, but what tells one version of it from another.
  secretPart: (secret) => secret.map(({ authorityArn }) => authorityArn),
  assertBelongs: (target, { id }, secret) => {
    assertOurs(target, secret);
    if (idOf(secret.reveal().certificate) !== id) throw mismatch('certificate');
  },

  async preflight(target, ctx) {
    const [found] = await Promise.all([setIn(target, ctx), assertServed(set(target), ctx)]);
    const ending = endingSoon(found?.entries.filter(isHeld) ?? [], {
      field: 'target.authorities',
      withinSeconds: FORTNIGHT_SECONDS,
      now: ctx.clock(),
    });
    return [...ending, ...(await spareNotices(target, found, ctx))];
  },

  async issue(target, token, ctx) {
    const aws = awsOf(ctx);
    const now = ctx.clock();
    const soak = soakOf(target);
    const lastsUntil = neededUntil(now, ctx.intervalSeconds ?? MONTH, soak);
    const taking = { lastsUntil, claims: claimsIn(ctx), token, generation: ctx.generation };
    const { handle, secret } = await takeIdentity(
      {
        ref: set(target),
        times: timesOf(target),
        maxLive: FACTS.overlap.maxLive,
        make: async (published, besides) =>
          nextAuthority(aws, target, { ...taking, set: published, besides }),
        lastsUntil: plusSeconds(toInstant(now), soak),
        remembers: target.authorities,
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
    const bundle = certificatesIn(await response.text());
    await proveAuthority(awsOf(ctx), target, secret.reveal(), { bundle, now: ctx.clock() });
  },

  async revoke(target, handle, _options, ctx) {
    // First what verifiers trust; an authority that still issues vouches for nobody then.
    const done = await endIdentity(set(target), handle, ctx);
    const entry = entryOf(await setIn(target, ctx), handle.id);
    if (entry?.ref !== undefined) await disableAuthority(awsOf(ctx), entry.ref);
    return done;
  },
  deactivation: async (target, { id }, ctx) => looked(set(target), id, ctx),
  list: async (target, ctx) => listIdentities(set(target), ctx),
  outlook: async (target, ctx) => spareNotices(target, await setIn(target, ctx), ctx),
  manualRevocation: (target, handle) => endedByHand('bundles', target, handle),
};

/** What the next rotation will publish, and what stands in its way. */
async function spareNotices(
  target: PrivateCaTarget,
  found: DirectorySet | undefined,
  ctx: ProviderContext,
): Promise<Notice[]> {
  const lastsUntil = neededUntil(ctx.clock(), 0, soakOf(target));
  const obstacles = await obstaclesOf(awsOf(ctx), target, { set: found, lastsUntil, claims: claimsIn(ctx) });
  if (obstacles === undefined) return [];
  const message = ['no certificate authority is left for the next rotation', ...obstacles].join('; ');
  return [{ field: 'target.authorities', message, remedy: REFILL }];
}

async function setIn(target: PrivateCaTarget, ctx: ProviderContext): Promise<DirectorySet | undefined> {
  return identitiesOf(ctx).directory.read(set(target));
}

function set(target: PrivateCaTarget): SetRef {
  return setOf('bundles', target);
}
