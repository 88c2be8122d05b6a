import { describe, expect, it } from 'vitest';
import { revocationsByHand } from '../../../shared/providers/by-hand.ts';
import { credentialOf } from '../api/fakes.ts';

const target = { host: 'db.internal', port: 5432, database: 'orders', ownerRole: 'orders' };

describe('what revokes by hand', () => {
  it('ends an identity in the directory, and the key in KMS with it, and says what verifiers do', async () => {
    const textOf = async (type: string, provider: string, declared: object): Promise<string> => {
      const told = { type, provider, target: { name: 'shop', cacheSeconds: 60, ...declared } };
      return (
        (await revocationsByHand(credentialOf({ ...told, live: [{ id: 'kid-1', generation: 1 }] }))).at(-1)
          ?.text ?? ''
      );
    };
    const exported = await textOf('signing-key', 'jwks', { held: 'exported' });
    expect(exported).toContain(`--key '{"pk":{"S":"default#SET#jwks#shop"},"sk":{"S":"SET"}}'`);
    expect(exported).toContain('Verifiers refuse it within 60 s');
    expect(exported).not.toContain('aws kms');
    expect(await textOf('signing-key', 'jwks', { held: 'kms' })).toContain('aws kms disable-key');
    const token = await textOf('agent-token', 'opaque', {});
    expect(token).toContain('default#SET#tokens#shop');
    expect(token).toContain('let verifiers refuse tokens with that id');
  });

  it('names every login that may work once: the current one and those still kept', async () => {
    const told = await revocationsByHand(
      credentialOf({
        target: { ...target, users: ['orders_a', "o'b\\c"] },
        live: [
          { id: 'orders_a', generation: 1 },
          { id: 'orders_a', generation: 3 },
          { id: "o'b\\c", generation: 2 },
        ],
      }),
    );
    expect(told.map(({ handle }) => handle.id)).toEqual(['orders_a', "o'b\\c"]);
    expect(told[0]?.text).toContain('ALTER ROLE "orders_a" NOLOGIN PASSWORD NULL;');
    expect(told[0]?.text).toContain("WHERE usename = 'orders_a'");
    expect(told[1]?.text).toContain(String.raw`WHERE usename = E'o''b\\c'`);
  });

  it('gives the call that ends a key, at the address of its target, for a shell and without a secret', async () => {
    const told = await revocationsByHand(
      credentialOf({
        type: 'llm-key',
        provider: 'openai',
        target: {
          project: 'proj_1',
          serviceAccount: 'sa_1',
          label: 'chat',
          baseUrl: "https://llm.example/it's",
        },
        current: {
          handle: { id: 'key_2', generation: 2 },
          versionId: 'v2',
          fingerprint: 'f'.repeat(64),
          issuedAt: '2026-11-22T12:00:00.000Z',
        },
        live: [{ id: 'key_1', generation: 1 }],
      }),
    );
    expect(told.map(({ handle }) => handle.id)).toEqual(['key_2', 'key_1']);
    expect(told[1]?.text).toContain(
      `curl -X DELETE -H "authorization: Bearer $OPENAI_ADMIN_KEY" ` +
        String.raw`'https://llm.example/it'\''s/organization/projects/proj_1/api_keys/key_1'`,
    );
  });

  it('gives the call that removes a user of Weaviate, and a key of Qdrant Cloud where its management is', async () => {
    const textOf = async (provider: string, declared: object): Promise<string> => {
      const live = [{ id: 'x_1', generation: 1 }];
      const told = { type: 'vector-database-key', provider, target: { label: 'search', ...declared }, live };
      return (await revocationsByHand(credentialOf(told))).at(-1)?.text ?? '';
    };
    const own = { baseUrl: 'https://vectors.example/v1', roles: ['searcher'] };
    expect(await textOf('weaviate', own)).toContain(
      'curl -X DELETE -H "authorization: Bearer $WEAVIATE_ADMIN_KEY" https://vectors.example/v1/users/db/x_1',
    );
    const [account, cluster] = [
      '7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11',
      '0b7c7c5e-8f5e-4b7a-8f0e-5a1d3c9b2f22',
    ];
    const rules = [{ collection: '*', access: 'read' }];
    const cloud = { baseUrl: 'https://xyz.cloud.qdrant.io:6333', account, cluster, rules };
    expect(await textOf('qdrant-cloud', cloud)).toContain(
      `'https://api.cloud.qdrant.io/api/cluster/auth/v2/accounts/${account}/database-api-keys/x_1?clusterId=${cluster}'`,
    );
  });

  it('gives the call that ends a token of a self-run Qdrant, and what is asked of a deploy hook', async () => {
    const textOf = async (provider: string, declared: object): Promise<string> => {
      const own = { label: 'search', baseUrl: 'https://vectors.example/', ...declared };
      const live = [{ id: 'x_1', generation: 1 }];
      const told = { type: 'vector-database-key', provider, target: own, live };
      return (await revocationsByHand(credentialOf(told))).at(-1)?.text ?? '';
    };
    const rules = [{ collection: 'documents', access: 'read' }];
    expect(await textOf('qdrant', { rules })).toContain(
      `-d '{"points":["x_1"]}' 'https://vectors.example/collections/rekey_tokens/points/delete?wait=true'`,
    );
    const asked = `curl -X DELETE -H "authorization: Bearer $HOOK_TOKEN" '<hookUrl>/keys/x_1'`;
    expect(await textOf('qdrant-static', { access: 'manage' })).toContain(asked);
    const place = { access: 'read', tenant: 't', database: 'd' };
    expect(await textOf('chroma', place)).toContain(asked);
  });

  it('ends an access key before what was minted with it is cut off', async () => {
    const told = await revocationsByHand(
      credentialOf({
        type: 'cloud-key',
        provider: 'aws-iam',
        target: { user: 'shop' },
        live: [{ id: 'AKIAIOSFODNN7EXAMPLE', generation: 1 }],
      }),
    );
    const lines =
      told
        .at(-1)
        ?.text.split('\n')
        .filter((line) => !line.startsWith('#')) ?? [];
    expect(lines.map((line) => line.split(' ')[2])).toEqual([
      'update-access-key',
      'put-user-policy',
      'delete-access-key',
    ]);
    expect(lines[0]).toContain('--user-name shop --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive');
  });

  it('leaves out a login that the target no longer names, and an upstream that it knows nothing of', async () => {
    const gone = credentialOf({ target: { ...target, users: ['x_a', 'x_b'] } });
    expect(await revocationsByHand(gone)).toEqual([]);
    expect(await revocationsByHand({ ...gone, provider: 'abacus' })).toEqual([]);
  });
});
