import { randomUUID } from 'node:crypto';
import type { World } from '../../../local/demo/world.ts';
import { FakeChroma } from '../../fakes/chroma.ts';
import { FakeChromaCloud } from '../../fakes/chroma-cloud.ts';
import { FakePinecone } from '../../fakes/pinecone.ts';
import { FakeDeployedQdrant, FakeQdrant } from '../../fakes/qdrant.ts';
import { FakeQdrantCloud } from '../../fakes/qdrant-cloud.ts';
import type { Asked } from '../../fakes/upstream.ts';
import { FakeWeaviate } from '../../fakes/weaviate.ts';
import { entryOf, played, posts, takenAt, type PlayedUpstream } from './played.ts';
import { byConsole } from './pools.ts';

/** Keys of vector databases. */
export const VECTOR_DATABASE_KEYS = {
  'vector-database-key/pinecone': pinecone,
  'vector-database-key/weaviate': weaviate,
  'vector-database-key/qdrant-cloud': qdrantCloud,
  'vector-database-key/qdrant': qdrant,
  'vector-database-key/qdrant-static': qdrantStatic,
  'vector-database-key/chroma': chroma,
  'vector-database-key/chroma-cloud': chromaCloud,
} as const;

const rules = [{ collection: 'documents', access: 'read-write' }];
const apiKey = (key: string) => ({ 'api-key': key });
const puts = ({ method }: Asked): boolean => method === 'PUT';

async function pinecone(): Promise<PlayedUpstream> {
  const fake = await FakePinecone.start();
  const baseUrl = fake.server.url;
  return played({
    key: 'vector-database-key/pinecone',
    fake,
    target: {
      project: randomUUID(),
      label: 'agents',
      roles: ['ControlPlaneViewer', 'DataPlaneEditor'],
      baseUrl,
    },
    admin: { clientId: fake.clientId, clientSecret: fake.clientSecret, loginUrl: fake.login.url, baseUrl },
    takes: takenAt(`${baseUrl}/indexes`, (key) => ({ ...apiKey(key), 'x-pinecone-api-version': '2026-04' })),
    existing: async () => {
      const [project, roles] = [randomUUID(), ['DataPlaneEditor', 'ControlPlaneViewer']];
      const { id, value } = fake.add(project, 'made by hand', roles);
      const target = { project, roles, label: 'adopted', keyId: id, baseUrl };
      return Promise.resolve({ secret: { apiKey: value }, target });
    },
    creates: posts('/api-keys'),
  });
}

async function weaviate(): Promise<PlayedUpstream> {
  const fake = await FakeWeaviate.start();
  const baseUrl = `${fake.server.url}/v1`;
  return played({
    key: 'vector-database-key/weaviate',
    fake,
    target: { label: 'agents', roles: ['searcher', 'indexer'], baseUrl },
    admin: { adminKey: fake.adminKey, baseUrl },
    tellsUseAtOnce: true,
    takes: takenAt(`${baseUrl}/users/own-info`),
    creates: posts(/\/users\/db\/[^/]+$/),
  });
}

async function qdrantCloud(): Promise<PlayedUpstream> {
  const fake = await FakeQdrantCloud.start();
  const baseUrl = fake.server.url;
  return played({
    key: 'vector-database-key/qdrant-cloud',
    fake,
    target: { account: randomUUID(), cluster: randomUUID(), label: 'agents', rules, baseUrl },
    admin: { managementKey: fake.managementKey, adminUrl: fake.server.url, baseUrl },
    takes: takenAt(`${baseUrl}/collections`, apiKey),
    creates: posts('/database-api-keys'),
  });
}

/** Its keys are tokens that Rekey signs itself: what is lost is the answer to the making of a point. */
async function qdrant(): Promise<PlayedUpstream> {
  const key = randomUUID();
  const fake = await FakeQdrant.start({ apiKey: key });
  const baseUrl = fake.server.url;
  return played({
    key: 'vector-database-key/qdrant',
    fake,
    target: { label: 'agents', rules, baseUrl },
    admin: { apiKey: key, baseUrl },
    takes: takenAt(`${baseUrl}/collections/documents/exists`, apiKey),
    creates: puts,
  });
}

/** Its keys count once it was started again, which takes its time. */
async function qdrantStatic(): Promise<PlayedUpstream> {
  const fake = await FakeDeployedQdrant.start();
  const { hook } = fake;
  const { url: baseUrl } = fake.server;
  Object.assign(hook, { places: 2, restartMs: 700 });
  return played({
    key: 'vector-database-key/qdrant-static',
    fake,
    target: { label: 'agents', access: 'manage', baseUrl },
    admin: { ...hook.admin(baseUrl), baseUrl },
    takes: takenAt(`${baseUrl}/collections`, apiKey),
    creates: puts,
  });
}

/** The list of tokens of its proxy is deployed, which takes its time. */
async function chroma(): Promise<PlayedUpstream> {
  const fake = await FakeChroma.start();
  const { url: baseUrl } = fake.server;
  fake.hook.restartMs = 700;
  const place = { tenant: 'default_tenant', database: 'default_database' };
  const path = `/api/v2/tenants/${place.tenant}/databases/${place.database}/collections`;
  return played({
    key: 'vector-database-key/chroma',
    fake,
    target: { label: 'agents', access: 'read-write', ...place, baseUrl },
    admin: { ...fake.hook.admin(baseUrl), baseUrl },
    takes: takenAt(`${baseUrl}${path}`),
    creates: puts,
  });
}

async function chromaCloud({ stack }: World): Promise<PlayedUpstream> {
  const fake = await FakeChromaCloud.start();
  fake.console.fill('tenant-1', 10);
  const baseUrl = fake.server.url;
  const target = { tenant: 'tenant-1', label: 'agents', databases: ['documents'], baseUrl };
  return {
    key: 'vector-database-key/chroma-cloud',
    entry: entryOf('vector-database-key/chroma-cloud', target),
    admin: { pool: fake.console.pool, baseUrl },
    takes: takenAt(`${baseUrl}/api/v2/auth/identity`, (key) => ({ 'x-chroma-token': key })),
    ...byConsole(stack, fake, 'rotate-vector-database-key'),
  };
}
