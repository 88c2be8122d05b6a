import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { Call } from '../http/api.ts';
import type { KeyMaterial } from '../http/material.ts';
import { poolProvider, type KeyIdentity } from '../http/pool-provider.ts';
import { ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';
import type { CredentialProvider } from '../provider.ts';

interface ClientTarget extends KeyTarget {
  /** The endpoint at which a secret is tried. */
  readonly baseUrl: string;
  readonly clientId: string;
  readonly authentication: 'client_secret_basic' | 'client_secret_post';
  /** Which endpoint that is. */
  readonly endpoint: 'token' | 'revocation' | 'introspection';
  /** How many secrets the server lets the client have. */
  readonly secretsAtOnce: number;
}

/**
 * Words of a server that has let the client in, and refuses what it then asks for (RFC 6749, 5.2; Slack and GitHub have their
 * own). `invalid_request` is none: it may be said before anybody has looked at the secret.
 */
const LET_IN = [
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_refresh_token',
  'bad_refresh_token',
] as const;
/** Words of one that doesn't take the client, in whatever status. */
const REFUSED = [
  'invalid_client',
  'invalid_client_id',
  'bad_client_secret',
  'incorrect_client_credentials',
] as const;

const provider = poolProvider<ClientTarget>({
  key: 'oauth-client/client-secret',
  name: 'the authorization server',
  console: ({ baseUrl, clientId }) => `the console of ${new URL(baseUrl).host}, client ${clientId}`,
  ...targetOf({
    baseUrl: ownBaseUrl,
    clientId: z.string().regex(/^[\x21-\x7e]{1,512}$/, 'must be the client_id of the registration'),
    authentication: z.enum(['client_secret_basic', 'client_secret_post']).default('client_secret_basic'),
    endpoint: z.enum(['token', 'revocation', 'introspection']).default('token'),
    secretsAtOnce: z.int().min(1).max(100).default(2),
  }),
  owner: ({ clientId }) => clientId,
  // Whose a secret is follows from its being taken for this client; more the server doesn't tell.
  scope: ({ clientId }) => [clientId],
  form: {
    key: 'client_secret',
    id: 'client_secret_id',
    beside: ['client_id'],
    of: ({ clientId }) => ({ client_id: clientId }),
    pinned: true,
  },
  agentHeaders: (value, { authentication, clientId }) =>
    authentication === 'client_secret_basic' ? { authorization: basic(clientId, value) } : {},
  room: ({ secretsAtOnce }) => secretsAtOnce,
  stranger: () => randomBytes(32).toString('base64url'),
  identify,
});

/**
 * Shared secrets of clients at any authorization server: a person makes and deletes them at its console, and puts them into the
 * administrative secret, `{"baseUrl": …, "pool": [{"id": …, "value": …}, …]}`.
 */
export const clientSecretProvider: CredentialProvider<ClientTarget, KeyMaterial> = {
  ...provider,
  demands: ({ secretsAtOnce }) =>
    secretsAtOnce > 1
      ? { why: 'a client secret' }
      : {
          maxAgents: 1,
          why: 'where a new secret ends the former one, everybody but the coordinator is cut off',
        },
  endsFormer: ({ secretsAtOnce }) => secretsAtOnce === 1,
};

/** Asks for something that nobody has: nothing is given or spent by it. */
function identify({ authentication, clientId, endpoint }: ClientTarget, value: string): Call<KeyIdentity> {
  const login = authentication === 'client_secret_post' ? { client_id: clientId, client_secret: value } : {};
  const refused = z.object({ error: z.enum(REFUSED) });
  const answerOf = (letIn: z.ZodType) =>
    z.union([
      refused.transform(() => ({ valid: false, scope: [] })),
      letIn.transform(() => ({ valid: true, scope: [clientId] })),
    ]);
  const call = { method: 'POST', path: '', denied: refused } as const;
  if (endpoint !== 'token') {
    const answer = answerOf(z.object({ error: z.undefined().optional() }));
    return { ...call, form: { token: 'of-nobody', ...login }, answer };
  }
  return {
    ...call,
    form: { grant_type: 'refresh_token', refresh_token: 'of-nobody', ...login },
    answer: answerOf(z.object({ error: z.enum(LET_IN) })),
    // 401 is a refusal whatever its word: some say there of a wrong secret what others say once they have let the client in.
    accepts: [400, 403],
  };
}

/** How a client says who it is in a header (RFC 6749, 2.3.1), as the coordinator of token families writes it. */
function basic(clientId: string, secret: string): string {
  return `Basic ${Buffer.from([clientId, secret].map(encoded).join(':')).toString('base64')}`;
}

function encoded(part: string): string {
  const every = (text: string): string => `%${text.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(part).replace(/[-_.!~*'()]/g, every);
}
