import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { digestOf, grantOf, partsOf, tokenOf, type TokenDocument } from '../../domain/agent-token.ts';
import { CAPABILITIES } from '../../domain/capabilities.ts';
import { plusSeconds, toInstant, type Instant } from '../../domain/clock.ts';
import type { SetRef } from '../../domain/directory.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { parseJson } from '../http/material.ts';
import { formOf } from '../http/target.ts';
import { identityProvider } from '../identity/provider.ts';
import { identitiesOf, setSuspended, takeIdentity, type Made } from '../identity/steps.ts';
import { identityFields, setOf, timesOf, type IdentityTarget } from '../identity/target.ts';
import { lifetimeSeconds } from '../lifetime.ts';
import type { CredentialProvider } from '../provider.ts';

const DAY_SECONDS = 86_400;

/** Whose tokens these are, and what they let their bearer do. Not secret: it goes into the ledger. */
export interface OpaqueTarget extends IdentityTarget {
  readonly agent: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly escalation: boolean;
}

const word = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be printable, without spaces, quotes and backslashes');

const form = formOf<OpaqueTarget>({
  ...identityFields(60),
  agent: word,
  audience: word,
  scopes: z.array(word).max(50).default([]),
  escalation: z.boolean().default(false),
});

const material = z.object({ token: z.string().min(1) });

/** What agents read. */
export type OpaqueMaterial = Readonly<z.infer<typeof material>>;

const set = (target: OpaqueTarget): SetRef => setOf('tokens', target);

const common = identityProvider<OpaqueTarget, OpaqueMaterial>({
  key: 'agent-token/opaque',
  set,
  form,
  assertOurs,
});

/**
 * Bearer tokens of one agent. Rekey keeps their digests, which verifiers read; the token that comes next is known to them
 * before its agent has it.
 */
export const opaqueProvider: CredentialProvider<OpaqueTarget, OpaqueMaterial> = {
  ...common,
  access: ({ escalation }) => (escalation ? 'write' : undefined),
  demands: ({ escalation }) => ({
    ...(escalation ? { maxIntervalSeconds: DAY_SECONDS, maxAgents: 1 } : {}),
    why: escalation ? 'a token that grants escalation is treated as a root credential' : 'an agent token',
  }),
  material: (text) => text.map((raw) => parseJson(material, raw, 'the secret', undefined, '{"token": …}')),
  secretPart: (secret) => secret.map(({ token }) => token),

  async preflight(target, ctx) {
    await identitiesOf(ctx).directory.read(set(target));
    if (!target.escalation) return [];
    return [
      {
        field: 'target.escalation',
        message: `this token lets ${target.agent} get more rights: it counts as a root credential (C7)`,
        remedy:
          'declare escalation: false where the agent can do without; else look who reads its secret (rekey show)',
      },
    ];
  },

  endsAt,

  async issue(target, token, ctx) {
    const { intervalSeconds: interval } = ctx;
    const use = {
      ref: set(target),
      times: timesOf(target),
      maxLive: CAPABILITIES['agent-token/opaque'].overlap.maxLive,
      make: async () => Promise.resolve(makeToken(target)),
      ...(interval === undefined ? {} : { notAfter: endsAt(target, toInstant(ctx.clock()), interval) }),
    };
    const { handle, secret } = await takeIdentity(use, token, ctx);
    return { handle, material: secret.map((text) => ({ token: text })) };
  },

  async verify(target, secret, ctx) {
    assertOurs(target, secret);
    const read = await identitiesOf(ctx).directory.read(set(target));
    if (grantOf(read, secret.reveal().token, ctx.clock()) !== undefined) return;
    throw new RekeyError('ERR_REJECTED', 'verifiers refuse this token', {
      remedy: 'it was ended, suspended or changed; start a new rotation',
    });
  },

  suspension: {
    suspend: async (target, handle, ctx) => setSuspended(set(target), handle, true, ctx),
    restore: async (target, handle, ctx) => setSuspended(set(target), handle, false, ctx),
  },
};

/** As long again as it is to be used, a day at least: Rekey may be down for one, and the agent goes on. */
function endsAt(_target: OpaqueTarget, from: Instant, intervalSeconds: number): Instant {
  return plusSeconds(from, lifetimeSeconds(intervalSeconds, DAY_SECONDS));
}

function makeToken({ name, agent, audience, scopes, escalation }: OpaqueTarget): Made {
  const id = randomBytes(8).toString('hex');
  const secret = tokenOf(name, id, randomBytes(32));
  const digest = digestOf(secret.reveal());
  const document: TokenDocument = { digest, agent, audience, scopes: [...scopes], escalation };
  return { fresh: { id, document }, secret };
}

function assertOurs({ name }: OpaqueTarget, secret: Redacted<OpaqueMaterial>, id?: string): void {
  const parts = partsOf(secret.reveal().token);
  if (parts?.set === name && (id === undefined || parts.id === id)) return;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', 'the secret has no token of this set and rotation', {
    field: 'token',
    remedy: 'the secret was changed by another hand, or belongs to another credential; nothing was sent',
  });
}
