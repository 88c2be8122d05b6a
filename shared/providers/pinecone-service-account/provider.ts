import * as z from 'zod';
import { ANYTHING } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider } from '../http/keys.ts';
import { notYetAsDeclared, type Scope } from '../http/scope.ts';
import { distinct, targetOf, type KeyTarget } from '../http/target.ts';
import {
  assertLogin,
  headersAt,
  loginFields,
  serviceAccount,
  type LoginPlace,
  versionHeader,
} from '../pinecone-admin/login.ts';
import { ROLE } from '../pinecone-admin/roles.ts';
import { ACCOUNTS, deleteAccount, listAccounts, makeAccount, renameAccount } from './accounts.ts';

/** The administrative secret has to name the same login. */
interface ServiceAccountTarget extends KeyTarget, LoginPlace {
  /** What it may do (`ROLE`). Pinecone gives nothing where nothing is said. */
  readonly roles: Scope;
}

/**
 * Service accounts of Pinecone, which administer an organization or its projects: the root of the provider `pinecone`. A second
 * one with the same roles takes the place of the first, since `rotate-secret` would end the old secret at once. Rekey knows one
 * by its client id, which stands in its secret: `{"clientId": …, "clientSecret": …}`.
 */
export const pineconeServiceAccountProvider = keyProvider<
  ServiceAccountTarget,
  z.infer<typeof serviceAccount>
>({
  key: 'root/pinecone-service-account',
  name: 'Pinecone',
  baseUrl: 'https://api.pinecone.io',
  ...targetOf({
    roles: distinct(z.string().regex(ROLE, 'must be a role of the organization, or ROLE@PROJECT'), 'role'),
    ...loginFields,
  }),
  owner: () => 'organization',
  scope: { field: 'roles', of: ({ roles }) => roles },
  form: { key: 'clientSecret', id: 'clientId', beside: [], of: () => ({}) },
  admin: serviceAccount,

  async adminHeaders(account, target, open) {
    assertLogin(account, target);
    return headersAt(open, account, target);
  },
  agentHeaders: (_value, target) => versionHeader(target.apiVersion),

  list: listAccounts,

  async create(api, { roles }, name) {
    const made = await makeAccount(api, name, roles);
    const lacksOnly = made.scope.length < roles.length && made.scope.every((role) => roles.includes(role));
    if (lacksOnly) throw notYetAsDeclared('Pinecone', 'roles');
    return made;
  },

  adoption: { rename: renameAccount, nameLength: 80 },

  remove: async (api, _target, id) => deleteAccount(api, id),

  /** Logs in as the service account and reads what an owner may; of another it counts that its token is known (403). */
  async test(api, target, { id: clientId = '', value: clientSecret }, open) {
    const headers = await headersAt(open, { clientId, clientSecret }, target);
    const isOwner = target.roles.includes('OrgOwner');
    await api.call({
      method: 'GET',
      headers,
      ...(isOwner
        ? { path: `${ACCOUNTS}?limit=1`, answer: z.object({ data: z.array(ANYTHING) }) }
        : { path: '/admin/projects', answer: ANYTHING, accepts: [403] }),
    });
  },

  byHand(_target, clientId, baseUrl) {
    const login = ['authorization: Bearer $TOKEN_OF_ANOTHER', 'x-pinecone-api-version: 2026-04'];
    return [
      `# At https://app.pinecone.io: Settings, Access, Service accounts: delete the one with the client id ${clientId}.`,
      '# Or with the token of another one; its id stands beside that client id in:',
      curl('GET', `${baseUrl}${ACCOUNTS}`, login),
      curl('DELETE', `${baseUrl}${ACCOUNTS}/ID`, login),
    ].join('\n');
  },
});
