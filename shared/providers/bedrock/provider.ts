import * as z from 'zod';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { pause } from '../../http/exchange.ts';
import { orGone, type IamUser } from '../aws-iam/iam.ts';
import { issueKey } from '../aws-iam/issue.ts';
import { BEDROCK_KEYS } from '../aws-iam/kinds.ts';
import { deactivation, endKey, look, userOf } from '../aws-iam/user.ts';
import { CAPABILITIES } from '../../domain/capabilities.ts';
import { ANYTHING, Api } from '../http/api.ts';
import { assertKeyBelongs, parseKey, serializeKey, type KeyMaterial } from '../http/material.ts';
import { unlabelledTargetOf } from '../http/target.ts';
import { lifetimeSeconds } from '../lifetime.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';

const FACTS = CAPABILITIES['llm-key/bedrock'];
/** A key counts as known once it was taken this often in a row: AWS tells its parts of it one after another. */
const GOOD_CALLS = 3;
const DAY_SECONDS = 86_400;

const targets = unlabelledTargetOf({
  user: z.string().regex(/^[\w+=,.@-]{1,64}$/, 'must be the name of an IAM user, without its path'),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region of AWS, e.g. eu-central-1'),
});

/** The user whose keys rotate, and where they are tested. Not secret: it goes into the ledger. */
export type BedrockTarget = ReturnType<typeof targets.target>;

/**
 * Amazon Bedrock: long-term keys of an IAM user, which IAM has as credentials of one service. Made and ended as access
 * keys are, under the function's own role and remembered by tags of the user.
 */
export const bedrockProvider: CredentialProvider<BedrockTarget, KeyMaterial> = {
  type: 'llm-key',
  provider: 'bedrock',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,
  needsAdmin: false,
  target: (input) => targets.target(input, 'docs/providers/bedrock.md'),
  storedTarget: (input) => targets.storedTarget(input),
  identity,
  material: parseKey,
  serialize: serializeKey,
  secretPart: (material) => material.map(({ apiKey }) => apiKey),
  assertBelongs: (to, handle, material) => assertKeyBelongs({ of: identity(to), handle }, material),

  async preflight(to, ctx) {
    const user = keysOf(to, ctx);
    await Promise.all([user.keys(), user.tags()]);
    return [];
  },

  async issue(to, token, ctx) {
    const life = lifetimeSeconds(ctx.intervalSeconds);
    const { handle, value } = await issueKey(
      keysOf(to, ctx),
      token,
      ctx,
      life === undefined ? {} : { CredentialAgeDays: String(Math.ceil(life / DAY_SECONDS)) },
    );
    const { baseUrl } = to;
    const about = { apiKeyId: handle.id, of: identity(to), ...(baseUrl === undefined ? {} : { baseUrl }) };
    return { handle, material: value.map((apiKey) => ({ apiKey, ...about })) };
  },

  /** Waits until the new key is taken everywhere, as far as that shows. */
  async activate(to, _token, { handle, material }, ctx) {
    assertKeyBelongs({ of: identity(to), handle }, material);
    const until = performance.now() + FACTS.propagationSeconds * 1000;
    for (let good = 0, waitMs = 200; ;) {
      try {
        await used(to, material, ctx);
        if (++good === GOOD_CALLS) return;
      } catch (error) {
        if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
        good = 0;
        waitMs = Math.min(2 * waitMs, 4000);
        if (performance.now() + waitMs > until) throw await whyRefused(to, handle.id, ctx, error);
      }
      await pause(waitMs);
    }
  },

  async verify(to, material, ctx) {
    assertKeyBelongs({ of: identity(to) }, material);
    await used(to, material, ctx);
  },

  async revoke(to, handle, _options, ctx) {
    const user = keysOf(to, ctx);
    await endKey(user, handle);
    return deactivation(user, handle.id, ctx);
  },

  deactivation: async (to, { id }, ctx) => deactivation(keysOf(to, ctx), id, ctx),

  async list(to, ctx) {
    const { own } = (await orGone(look(keysOf(to, ctx)))) ?? { own: [] };
    return own.filter(({ key }) => key.active).map(({ handle }) => handle);
  },

  suspension: {
    /** Of something that is gone there is nothing to suspend. */
    async suspend(to, { id }, ctx) {
      await keysOf(to, ctx).setActive(id, false);
    },
    async restore(to, { id }, ctx) {
      if (await keysOf(to, ctx).setActive(id, true)) return;
      throw new RekeyError('ERR_POINT_OF_NO_RETURN', `${id} can't be restored: it is deleted`, {
        remedy: 'start a rotation; another key takes its place',
      });
    },
  },

  manualRevocation: ({ user }, { id }) => {
    const key = `--user-name ${user} --service-specific-credential-id ${id}`;
    return [
      '# as somebody who may change the user:',
      `aws iam update-service-specific-credential ${key} --status Inactive`,
      `aws iam delete-service-specific-credential ${key}`,
      `# Dead once this does not name it: aws iam list-service-specific-credentials --user-name ${user}`,
    ].join('\n');
  },
};

/** Names of users differ by more than case; a user's keys for Bedrock belong to one credential. */
function identity({ user }: BedrockTarget): string {
  return `bedrock:${user.toLowerCase()}`;
}

function keysOf(to: BedrockTarget, ctx: ProviderContext): IamUser {
  return userOf(to, ctx, BEDROCK_KEYS);
}

/** Lists models, which is free. */
async function used(
  { region, baseUrl }: BedrockTarget,
  material: Redacted<KeyMaterial>,
  { reach }: ProviderContext,
): Promise<void> {
  const api = new Api({
    name: 'Amazon Bedrock',
    page: 'docs/providers/bedrock.md',
    baseUrl: baseUrl ?? `https://bedrock.${region}.amazonaws.com`,
    reach,
    caller: 'agent',
    headers: { authorization: `Bearer ${material.reveal().apiKey}` },
    field: 'target.baseUrl',
  });
  const answer = z.object({ modelSummaries: z.array(ANYTHING) });
  await api.call({ method: 'GET', path: '/foundation-models?byOutputModality=TEXT', answer });
}

/** A key that is not taken may not have spread yet, or somebody has ended it. */
async function whyRefused(
  to: BedrockTarget,
  id: string,
  ctx: ProviderContext,
  cause: unknown,
): Promise<RekeyError> {
  if ((await keysOf(to, ctx).keys()).some((key) => key.id === id && key.active)) {
    return new RekeyError('ERR_NOT_PROPAGATED', 'Bedrock does not take the new key everywhere yet', {
      remedy: `it is tried again; look whether the user ${to.user} may list models if it goes on`,
      cause,
    });
  }
  return new RekeyError('ERR_REJECTED', `the new key of the user ${to.user} is inactive or gone`, {
    remedy: 'somebody has ended it at IAM; start a new rotation',
    cause,
  });
}
