import * as z from 'zod';
import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import { ANYTHING } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider } from '../http/keys.ts';
import { notYetAsDeclared, type Scope } from '../http/scope.ts';
import { distinct, ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';
import { ACCOUNTS, accountsWithRoles, deleteAccount, makeAccount, renameAccount, ROLE } from './accounts.ts';
import { apiVersion, headersOf, LOGIN, serviceAccount, versionHeader } from './login.ts';

interface ServiceAccountTarget extends KeyTarget {
  /** What it may do (`ROLE`). Pinecone gives nothing where nothing is said. */
  readonly roles: Scope;
  /** Where its tokens come from; the administrative secret has to name the same. */
  readonly loginUrl?: string | undefined;
  readonly apiVersion?: string | undefined;
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
    loginUrl: ownBaseUrl.optional(),
    apiVersion,
  }),
  owner: () => 'organization',
  scope: { field: 'roles', of: ({ roles }) => roles },
  form: { key: 'clientSecret', id: 'clientId', beside: [], of: () => ({}) },
  admin: serviceAccount,

  async adminHeaders(account, target, open) {
    const loginUrl = loginOf(target);
    if ((account.loginUrl ?? LOGIN) !== loginUrl) {
      throw new RekeyError('ERR_DECLARATION', 'the administrative secret has its tokens from elsewhere', {
        field: 'target.loginUrl',
        remedy: 'declare the address that the secret names as its loginUrl; nothing was sent there',
      });
    }
    return headersOf(open(loginUrl, 'target.loginUrl'), account, target.apiVersion);
  },
  agentHeaders: (_value, target) => versionHeader(target.apiVersion),

  async list(api) {
    return (await accountsWithRoles(api)).map(({ client_id: id, name, created_at: made, roles: scope }) => {
      return { id, name, active: true, scope, createdAt: toInstant(Date.parse(made)) };
    });
  },

  async create(api, { roles }, name) {
    const { clientId: id, clientSecret: value, roles: scope } = await makeAccount(api, name, roles);
    const lacksOnly = scope.length < roles.length && scope.every((role) => roles.includes(role));
    if (lacksOnly) throw notYetAsDeclared('Pinecone', 'roles');
    return { id, value, scope };
  },

  adoption: { rename: renameAccount, nameLength: 80 },

  async remove(api, _target, id) {
    await deleteAccount(api, id);
  },

  /** Logs in as the service account and reads what an owner may; of another it counts that its token is known (403). */
  async test(api, target, { id: clientId = '', value: clientSecret }, open) {
    const login = open(loginOf(target), 'target.loginUrl');
    const headers = await headersOf(login, { clientId, clientSecret }, target.apiVersion);
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

function loginOf({ loginUrl = LOGIN }: ServiceAccountTarget): string {
  return loginUrl;
}
