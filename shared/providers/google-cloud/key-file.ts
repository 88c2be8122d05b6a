import type { UsedKeys } from '../http/agent-side.ts';
import type { KeyTarget } from '../http/target.ts';
import { tokenOf } from './login.ts';

/** A service account whose key agents have. */
export interface AccountTarget extends KeyTarget {
  readonly project: string;
  readonly serviceAccount: string;
}

const LOGIN = 'https://oauth2.googleapis.com';

/** The side of agents that log in as a service account: their secret is a key file, as Google gives it. */
export const keyFileAgents = {
  baseUrl: LOGIN,
  form: {
    key: 'private_key',
    id: 'private_key_id',
    beside: ['type', 'project_id', 'client_email', 'token_uri'],
    of: (target) => ({
      type: 'service_account',
      project_id: target.project,
      client_email: target.serviceAccount,
      token_uri: tokenUriOf(target),
    }),
  },
  agentHeaders: () => ({}),

  /** Asks for a token as the account. */
  async test(api, target, { id, value }) {
    const { serviceAccount: client_email } = target;
    const key = { client_email, private_key: value, private_key_id: id, token_uri: tokenUriOf(target) };
    await tokenOf(key, () => api, 'secret');
  },
} satisfies Partial<UsedKeys<AccountTarget>>;

function tokenUriOf({ baseUrl = LOGIN }: AccountTarget): string {
  return new URL('/token', baseUrl).href;
}
