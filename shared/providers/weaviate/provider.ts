import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { toInstant, type Instant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { deletion } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { trueSoon } from '../http/listing.ts';
import { isSameScope, notYetAsDeclared } from '../http/scope.ts';
import { distinct, ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';

interface WeaviateTarget extends KeyTarget {
  readonly baseUrl: string;
  /** What each user may do. Weaviate gives a new one nothing. */
  readonly roles: readonly string[];
  /** That the roles may read and nothing more: held against them before a key is made. */
  readonly access?: 'read' | undefined;
}

const userSchema = z.object({
  userId: z.string().min(1),
  dbUserType: z.string(),
  active: z.boolean(),
  roles: z.array(z.string()),
  lastUsedAt: z.string().nullish(),
});

/** A role's name. Two predefined ones Weaviate assigns by its own configuration alone. */
const ROLE = /^(?!(?:root|read-only)$)[A-Za-z][\w-]{0,63}$/;
const roleName = z.string().regex(ROLE, 'must be the name of a role, but root or read-only');
const WAITS_MS = [100, 300, 1000, 2000];
const whoami = z.object({ username: z.string() });

/**
 * Weaviate 1.30 and later: users of its database with the roles that are declared. A user has one key, and `rotate-key` cuts
 * it at once; so each attempt at a generation is a user of its own, named by the mark and a number. Two of them take turns,
 * and what comes late finds only the user that it is about (hard decision 2). The administrative secret is
 * `{"adminKey": …, "baseUrl": …}`.
 */
export const weaviateProvider = keyProvider<WeaviateTarget, { adminKey: string }>({
  key: 'vector-database-key/weaviate',
  name: 'Weaviate',
  ...targetOf({
    baseUrl: ownBaseUrl,
    roles: distinct(roleName, 'role').max(32),
    access: z.literal('read').optional(),
  }),
  owner: () => 'users',
  scope: { field: 'roles', of: ({ roles }) => roles },
  access: ({ roles, access }) => access ?? (roles.every((each) => each === 'viewer') ? 'read' : 'write'),
  admin: z.object({ adminKey: z.string().min(1) }),
  adminHeaders: ({ adminKey }) => ({ authorization: `Bearer ${adminKey}` }),
  agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),

  /** Users that the configuration of the server makes are no matter of Rekey's. */
  async list(api) {
    const users = await api.call({ method: 'GET', path: '/users/db', answer: z.array(userSchema) });
    return users.filter(({ dbUserType }) => dbUserType === 'db_user').map(shown);
  },

  find: async (api, _target, id) => find(api, id),

  async create(api, target, name) {
    await assertRoles(api, target);
    const id = `${name}_${randomBytes(4).toString('hex')}`;
    const { apikey: value } = await api.call({
      method: 'POST',
      path: pathOf(id),
      body: {},
      answer: z.object({ apikey: z.string().min(1) }),
    });
    const body = { roles: target.roles, userType: 'db' };
    const path = `/authz/users/${encodeURIComponent(id)}/assign`;
    await api.call({ method: 'POST', path, body, answer: ANYTHING });
    // A copy of the cluster may learn of it later.
    const assigned = async () => isSameScope((await find(api, id))?.scope ?? [], target.roles);
    if (await trueSoon(WAITS_MS, assigned)) return { id, value };
    throw notYetAsDeclared('Weaviate', 'roles');
  },

  adoption: {
    identify: async (_admin, agent) =>
      (await agent.call({ method: 'GET', path: '/users/own-info', answer: whoami })).username,
  },

  async remove(api, _target, id) {
    await api.find({ method: 'DELETE', path: pathOf(id), answer: ANYTHING });
  },

  /** 409 says that it is so already. */
  async setActive(api, _target, id, active) {
    await api.call({
      method: 'POST',
      path: `${pathOf(id)}/${active ? 'activate' : 'deactivate'}`,
      ...(active ? {} : { body: { revoke_key: false } }),
      answer: ANYTHING,
      accepts: [409],
    });
  },

  /** Asks who the key is: every user may. */
  async test(api) {
    await api.call({ method: 'GET', path: '/users/own-info', answer: whoami });
  },

  byHand: (_target, id, baseUrl) =>
    deletion({
      where: 'With a key that may delete users',
      url: `${baseUrl}${pathOf(id)}`,
      login: 'authorization: Bearer $WEAVIATE_ADMIN_KEY',
      dead: 'Gone once this answers 404',
    }),
});

/** Refuses roles that aren't there, or may do more than is declared, before anything is made. */
async function assertRoles(api: Api, { roles, access }: WeaviateTarget): Promise<void> {
  const answer = z.object({ permissions: z.array(z.object({ action: z.string() })) });
  for (const each of roles) {
    const found = await api.find({ method: 'GET', path: `/authz/roles/${encodeURIComponent(each)}`, answer });
    const more = found?.permissions.find(({ action }) => !action.startsWith('read_'));
    if (found !== undefined && (access === undefined || more === undefined)) continue;
    const problem = found === undefined ? 'does not exist' : `may do more than read (${more?.action ?? ''})`;
    throw new RekeyError('ERR_REJECTED', `the role ${each} ${problem} at Weaviate; no user was made`, {
      field: 'target.roles',
      remedy: 'correct the role there, or declare a credential with another one',
    });
  }
}

async function find(api: Api, id: string): Promise<UpstreamKey | undefined> {
  const path = `${pathOf(id)}?includeLastUsedTime=true`;
  const user = await api.find({ method: 'GET', path, answer: userSchema });
  return user === undefined ? undefined : { ...shown(user), ...lastUsed(user) };
}

function pathOf(id: string): string {
  return `/users/db/${encodeURIComponent(id)}`;
}

function shown({ userId, active, roles }: z.infer<typeof userSchema>): UpstreamKey {
  return { id: userId, name: userId.replace(/_[0-9a-f]{8}$/, ''), active, scope: roles };
}

/** Of a user that has never come it tells the year 1. */
function lastUsed({ lastUsedAt }: z.infer<typeof userSchema>): { lastUsed?: Instant | null } {
  const ms = Date.parse(lastUsedAt ?? '');
  if (Number.isNaN(ms)) return {};
  return { lastUsed: ms > 0 ? toInstant(ms) : null };
}
