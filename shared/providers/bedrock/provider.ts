import * as z from 'zod';
import { CAPABILITIES } from '../../domain/capabilities.ts';
import { issueKey } from '../aws-iam/issue.ts';
import { BEDROCK_KEYS } from '../aws-iam/kinds.ts';
import { endKey, userKeys } from '../aws-iam/user.ts';
import { agentSide } from '../http/agent-side.ts';
import { ANYTHING } from '../http/api.ts';
import type { KeyMaterial } from '../http/material.ts';
import { unlabelledTargetOf } from '../http/target.ts';
import { endsAfterInterval, lifetimeSeconds } from '../lifetime.ts';
import type { CredentialProvider } from '../provider.ts';

const DAY_SECONDS = 86_400;

const targets = unlabelledTargetOf({
  user: z.string().regex(/^[\w+=,.@-]{1,64}$/, 'must be the name of an IAM user, without its path'),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region of AWS, e.g. eu-central-1'),
});

/** The user whose keys rotate, and where they are tested. Not secret: it goes into the ledger. */
export type BedrockTarget = ReturnType<typeof targets.target>;

/** Names of users differ by more than case; a user's keys for Bedrock belong to one credential. */
const identity = ({ user }: BedrockTarget): string => `bedrock:${user.toLowerCase()}`;

const agents = agentSide<BedrockTarget>(
  {
    key: 'llm-key/bedrock',
    name: 'Amazon Bedrock',
    baseUrl: ({ region }) => `https://bedrock.${region}.amazonaws.com`,
    ...targets,
    agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),

    /** Lists models, which is free. */
    async test(api) {
      const answer = z.object({ modelSummaries: z.array(ANYTHING) });
      await api.call({ method: 'GET', path: '/foundation-models?byOutputModality=TEXT', answer });
    },
    goodCalls: 3,

    byHand({ user }, id) {
      const key = `--user-name ${user} --service-specific-credential-id ${id}`;
      return [
        '# as somebody who may change the user:',
        `aws iam update-service-specific-credential ${key} --status Inactive`,
        `aws iam delete-service-specific-credential ${key}`,
        `# Dead once this does not name it: aws iam list-service-specific-credentials --user-name ${user}`,
      ].join('\n');
    },
  },
  CAPABILITIES['llm-key/bedrock'],
  identity,
);

const keys = userKeys<BedrockTarget>(BEDROCK_KEYS, identity);

/**
 * Amazon Bedrock: long-term keys of an IAM user, which IAM has as credentials of one service. Made and ended as access
 * keys are, under the function's own role and remembered by tags of the user.
 */
export const bedrockProvider: CredentialProvider<BedrockTarget, KeyMaterial> = {
  ...agents.common,
  ...keys.steps,

  async preflight(target, ctx) {
    const user = keys.of(target, ctx);
    await Promise.all([user.keys(), user.tags()]);
    return [];
  },

  endsAt: endsAfterInterval,

  async issue(target, token, ctx) {
    const { intervalSeconds: interval } = ctx;
    const age =
      interval === undefined
        ? {}
        : { CredentialAgeDays: String(Math.ceil(lifetimeSeconds(interval) / DAY_SECONDS)) };
    const { handle, value } = await issueKey(keys.of(target, ctx), token, ctx, age);
    return agents.issued(target, value.reveal(), handle);
  },

  async activate(target, _token, issued, ctx) {
    await agents.taken(target, issued, ctx, {
      exists: async () => keys.isActive(target, issued.handle, ctx),
    });
  },

  async revoke(target, handle, _options, ctx) {
    await endKey(keys.of(target, ctx), handle);
    return keys.steps.deactivation(target, handle, ctx);
  },
};
