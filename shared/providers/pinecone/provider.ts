import * as z from 'zod';
import { ANYTHING, type Api } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { distinct, targetOf, type KeyTarget } from '../http/target.ts';
import { told } from '../http/told.ts';
import { apiVersion, headersOf, LOGIN, serviceAccount, versionHeader } from '../pinecone-admin/login.ts';
import { QUOTA, remove, rename } from '../pinecone-admin/objects.ts';

const ROLES = [
  'ProjectEditor',
  'ProjectViewer',
  'ControlPlaneEditor',
  'ControlPlaneViewer',
  'DataPlaneEditor',
  'DataPlaneViewer',
] as const;

interface PineconeTarget extends KeyTarget {
  readonly project: string;
  /** What the key may do. Pinecone's own default is everything, hence there is none here. */
  readonly roles: readonly (typeof ROLES)[number][];
  readonly apiVersion?: string | undefined;
}

const keySchema = z.object({ id: z.string().min(1), name: z.string(), roles: z.array(z.string()) });

const projectSchema = z.object({ name: z.string(), organization_id: z.string() });

/**
 * Pinecone: keys of a project with the roles that are declared. The administrative secret is a service account,
 * `{"clientId": …, "clientSecret": …}`.
 */
export const pineconeProvider = keyProvider<PineconeTarget, z.infer<typeof serviceAccount>>({
  key: 'vector-database-key/pinecone',
  name: 'Pinecone',
  baseUrl: 'https://api.pinecone.io',
  ...targetOf({
    project: z.guid('must be the id of the project, a UUID'),
    roles: distinct(z.enum(ROLES), 'role'),
    apiVersion,
  }),
  owner: ({ project }) => project,
  scope: { field: 'roles', of: ({ roles }) => roles },
  access: ({ roles }) => (roles.every((role) => role.endsWith('Viewer')) ? 'read' : 'write'),
  admin: serviceAccount,

  adminHeaders: async (account, target, open) =>
    headersOf(open(account.loginUrl ?? LOGIN, 'admin.loginUrl'), account, target.apiVersion),
  agentHeaders: (value, target) => ({ ...versionHeader(target.apiVersion), 'api-key': value }),

  async list(api, target) {
    const answer = z.object({ data: z.array(keySchema) });
    return (await api.call({ method: 'GET', path: keysOf(target), answer })).data.map(shown);
  },

  find,

  async create(api, target, name) {
    const { key, value } = await api.call({
      method: 'POST',
      path: keysOf(target),
      body: { name, roles: target.roles },
      answer: z.object({ key: keySchema, value: z.string().min(1) }),
      full: QUOTA,
    });
    // A version of the API that knows no roles would have made a key that may do everything.
    return { id: key.id, value, scope: key.roles };
  },

  adoption: {
    rename: async (api, id, name) => rename(api, pathOf(id), name),
    nameLength: 80,
  },

  async place(api, { project: id }) {
    const project = await told(api, `/admin/projects/${encodeURIComponent(id)}`, projectSchema);
    if (project === undefined) return {};
    const { organization_id: account, name } = project;
    const path = `/admin/organizations/${encodeURIComponent(account)}`;
    const tier = (await told(api, path, z.object({ plan: z.string() })))?.plan;
    return { account, project: `${id} (${name})`, tier };
  },

  remove: async (api, target, id) =>
    remove(api, pathOf(id), async () => (await find(api, target, id)) === undefined),

  /** Lists indexes. A key for their data alone may not: being told so, it is known (traps: 401 is dead, 403 is alive). */
  async test(api: Api, { roles }) {
    const isDataOnly = roles.every((role) => role.startsWith('DataPlane'));
    await api.call({
      method: 'GET',
      path: '/indexes',
      ...(isDataOnly
        ? { answer: ANYTHING, accepts: [403] }
        : { answer: z.object({ indexes: z.array(ANYTHING) }) }),
    });
  },

  byHand(_target, id, baseUrl) {
    const url = `${baseUrl}${pathOf(id)}`;
    const login = ['authorization: Bearer $TOKEN', 'x-pinecone-api-version: 2026-04'];
    return [
      `# At https://app.pinecone.io: the project, API keys, delete ${id}. Or with a token of a service account:`,
      curl('DELETE', url, login),
      '# Gone once this answers 404:',
      curl('GET', url, login),
    ].join('\n');
  },
});

async function find(api: Api, _target: PineconeTarget, id: string): Promise<UpstreamKey | undefined> {
  const key = await api.find({ method: 'GET', path: pathOf(id), answer: keySchema });
  return key === undefined ? undefined : shown(key);
}

function keysOf({ project }: PineconeTarget): string {
  return `/admin/projects/${encodeURIComponent(project)}/api-keys`;
}

function pathOf(id: string): string {
  return `/admin/api-keys/${encodeURIComponent(id)}`;
}

function shown({ id, name, roles }: z.infer<typeof keySchema>): UpstreamKey {
  return { id, name, active: true, scope: roles };
}
