import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CAPABILITIES, type ProviderKey } from '../../../shared/domain/capabilities.ts';
import { isRekeyError } from '../../../shared/domain/errors.ts';
import { revocationsByHand } from '../../../shared/providers/by-hand.ts';
import { providerFor } from '../../../shared/providers/registry.ts';

type Fields = Readonly<Record<string, unknown>>;

const ID = '11111111-2222-4333-8444-555555555555';
const baseUrl = 'https://upstream.example';
const own = { label: 'agents', baseUrl };
const rules = [{ collection: 'documents', access: 'read-write' }];

/** A target of each, with every field in it that an operator writes freely. */
const TARGETS: Readonly<Partial<Record<ProviderKey, Fields>>> = {
  'database/postgresql': { host: 'db.example', database: 'app', users: ['app_a', 'app_b'], ownerRole: 'app' },
  'llm-key/openai': { ...own, project: 'proj_1', serviceAccount: 'sa_1' },
  'llm-key/anthropic': { ...own, workspace: 'wrkspc_1' },
  'llm-key/mistral': { ...own, workspace: ID, user: ID },
  'llm-key/cohere': { ...own, organization: 'org-1' },
  'llm-key/google': { ...own, project: 'shop', serviceAccount: 'agents@shop.iam.gserviceaccount.com' },
  'llm-key/bedrock': { baseUrl, user: 'shop-models', region: 'eu-central-1' },
  'llm-key/azure-openai': {
    ...own,
    tenantId: ID,
    subscription: ID,
    resourceGroup: 'agents',
    account: 'shop',
    exclusive: true,
  },
  'vector-database-key/pinecone': { ...own, project: ID, roles: ['DataPlaneViewer'] },
  'vector-database-key/weaviate': { ...own, roles: ['searcher'] },
  'vector-database-key/qdrant-cloud': { ...own, account: ID, cluster: ID, rules },
  'vector-database-key/qdrant': { ...own, rules },
  'vector-database-key/qdrant-static': { ...own, access: 'manage' },
  'vector-database-key/chroma': { ...own, access: 'read', tenant: 'default', database: 'default' },
  'vector-database-key/chroma-cloud': { ...own, tenant: 'tenant-1', databases: ['documents'] },
  'cloud-key/aws-iam': { user: 'shop-uploader' },
  'cloud-key/azure-app': { ...own, tenantId: ID, clientId: ID, scope: 'https://graph.example/.default' },
  'cloud-key/gcp-service-account': {
    ...own,
    project: 'shop',
    serviceAccount: 'agents@shop.iam.gserviceaccount.com',
  },
  'oauth-client/rfc7592': { ...own, clientId: 'shop' },
  'oauth-client/client-secret': { ...own, clientId: 'shop' },
  'signing-key/jwks': { name: 'shop-agents', issuer: baseUrl, held: 'kms', cacheSeconds: 60 },
  'certificate-authority/x509': { name: 'shop-agents', trustDomain: 'shop.example', cacheSeconds: 60 },
  'certificate-authority/private-ca': {
    name: 'shop-agents',
    trustDomain: 'shop.example',
    cacheSeconds: 60,
    authorities: [1, 2].map(
      (each) =>
        `arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/${ID.replace('1', `${each}`)}`,
    ),
  },
  'agent-token/opaque': { name: 'shop-agent', agent: 'shop', audience: 'orders', cacheSeconds: 60 },
  'root/openai-admin': own,
  'root/pinecone-service-account': { ...own, roles: ['OrgOwner'], loginUrl: baseUrl },
  'database-root/postgresql-master': {
    host: 'db.example',
    database: 'app',
    users: ['root_a', 'root_b'],
    ownerRole: 'root',
  },
};

/** What is ended of each, where not every id will do. */
const IDS: Readonly<Partial<Record<ProviderKey, string>>> = {
  'database/postgresql': 'app_a',
  'database-root/postgresql-master': 'root_a',
};

/** What breaks out of a word of a shell, or breaks it in two. */
const HOSTILE = [
  '$(touch pwned)',
  '`touch pwned`',
  '; touch pwned;',
  '&touch pwned&',
  '|touch pwned',
  '>pwned',
  "';touch pwned;'",
  '";touch pwned;"',
  '\ntouch pwned\n',
  "'",
  '"',
  '\\',
  ' b',
  '(b)',
  '*',
  '~',
  '$HOME',
  '#b',
];

/** Commands as a person copies them: whole lines, and those that a remark names. */
const COMMAND = /(?:^|[\s:])((?:az|aws|gcloud|curl|psql|jq) .*)$/;
const STUBS = ['az', 'aws', 'gcloud', 'curl', 'psql', 'jq']
  .map((name) => `${name}() { printf '%s ' "$#"; }`)
  .join('\n');

describe('what a person is told to type at an upstream', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'by-hand-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** Runs its commands where each only counts its words: their numbers. */
  const wordsOf = (text: string): string => {
    const commands = text.split('\n').flatMap((line) => COMMAND.exec(line)?.[1] ?? []);
    // What a line that is no command would do is to be seen as well.
    const others = text.split('\n').filter((line) => !COMMAND.test(line) && line.startsWith('#'));
    const script = [STUBS, ...others, ...commands].join('\n');
    return execFileSync('bash', ['-c', script], { cwd: dir, encoding: 'utf8', stdio: 'pipe' });
  };
  const textOf = async (key: ProviderKey, target: unknown): Promise<string> => {
    const [type = '', provider = ''] = key.split('/');
    const id = IDS[key] ?? 'k1';
    const about = { type, provider, target, live: [{ id, generation: 1 }] };
    return (await revocationsByHand(about)).map(({ text }) => text).join('\n');
  };
  const accepted = async (key: ProviderKey, target: Fields): Promise<boolean> => {
    const [type = '', provider = ''] = key.split('/');
    const its = await providerFor(type, provider);
    try {
      its.target(target);
      return true;
    } catch (error) {
      if (isRekeyError(error)) return false;
      throw error;
    }
  };

  it('is asked of every provider that tells it', async () => {
    const telling = await Promise.all(
      Object.keys(CAPABILITIES).map(async (key) => {
        const [type = '', provider = ''] = key.split('/');
        return (await providerFor(type, provider)).manualRevocation === undefined ? [] : [key];
      }),
    );
    expect(Object.keys(TARGETS).toSorted()).toEqual(telling.flat().toSorted());
  });

  it.each(Object.entries(TARGETS) as [ProviderKey, Fields][])(
    'does the same whatever a declaration of %s says',
    async (key, target) => {
      expect(await accepted(key, target)).toBe(true);
      const told = await textOf(key, target);
      expect(told).toContain(IDS[key] ?? 'k1');
      const words = wordsOf(told);
      const made = readdirSync(dir);
      const texts = Object.entries(target).flatMap(([field, value]) =>
        typeof value === 'string' ? [{ field, value }] : [],
      );
      for (const { field, value } of texts) {
        for (const hostile of HOSTILE) {
          for (const said of [`${value}${hostile}`, `${value[0]}${hostile}${value.slice(1)}`]) {
            const changed = { ...target, [field]: said };
            if (!(await accepted(key, changed))) continue;
            const text = await textOf(key, changed);
            expect({ said, words: wordsOf(text), made: readdirSync(dir) }).toEqual({ said, words, made });
          }
        }
      }
    },
  );
});
