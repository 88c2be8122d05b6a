import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { IssueContext } from '../../../shared/providers/provider.ts';
import { qdrantCloudProvider } from '../../../shared/providers/qdrant-cloud/provider.ts';
import { qdrantCloudCase } from '../../contract/cases/qdrant-cloud.ts';
import { describeKeyFaults } from '../../contract/describe-key-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { keyHarness } from '../../contract/key-harness.ts';
import { FakeQdrantCloud } from '../../fakes/qdrant-cloud.ts';

describe('Qdrant Cloud', () => {
  describeProvider('Qdrant Cloud', keyHarness(qdrantCloudCase()));
  describeKeyFaults('Qdrant Cloud', qdrantCloudCase());

  describe('has of its own', () => {
    let one: FakeQdrantCloud;
    const target = (declared: object = {}) =>
      qdrantCloudProvider.target({
        account: randomUUID(),
        cluster: randomUUID(),
        label: 'search',
        rules: [{ collection: 'documents', access: 'read' }],
        baseUrl: one.server.url,
        ...declared,
      });
    const context = (secret: object = {}): IssueContext => ({
      clock: Date.now,
      generation: 1,
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
      admin: async () =>
        Promise.resolve(
          new Redacted(
            JSON.stringify({
              managementKey: one.managementKey,
              adminUrl: one.server.url,
              baseUrl: one.server.url,
              ...secret,
            }),
          ),
        ),
    });

    beforeAll(async () => {
      one = await FakeQdrantCloud.start();
    });
    beforeEach(() => {
      one.server.asked.length = 0;
      one.knowsRules = true;
    });
    afterAll(async () => one[Symbol.asyncDispose]());

    it.for([
      [undefined, 'target.rules: is missing'],
      [[], 'must not be empty'],
      [[{ collection: 'documents' }], 'access'],
      [[{ access: 'read' }], 'collection'],
      [[{ collection: 'documents', access: 'manage' }], 'read or read-write for a collection'],
      [[{ collection: '*', access: 'read-write' }], 'read or manage for *'],
      [[{ collection: 'documents', access: 'read', payload: { tenant: '7' } }], 'payload'],
      [
        [
          { collection: '*', access: 'read' },
          { collection: 'documents', access: 'read' },
        ],
        '* alone',
      ],
      [
        [
          { collection: 'documents', access: 'read' },
          { collection: 'documents', access: 'read-write' },
        ],
        'each collection once',
      ],
    ] as const)('rules that have to be declared, and make sense: %j is refused', ([rules, said]) => {
      expect(() => target({ rules })).toThrow(said);
    });

    it('keys with the declared access, never with what Qdrant gives where nothing is said', async () => {
      const rules = [
        { collection: 'documents', access: 'read' },
        { collection: 'memories', access: 'read-write' },
      ];
      const { handle } = await qdrantCloudProvider.issue(target({ rules }), randomUUID(), context());
      expect(one.rules.get(handle.id)).toEqual([
        {
          collectionAccess: {
            collectionName: 'documents',
            accessType: 'COLLECTION_ACCESS_RULE_ACCESS_TYPE_READ_ONLY',
          },
        },
        {
          collectionAccess: {
            collectionName: 'memories',
            accessType: 'COLLECTION_ACCESS_RULE_ACCESS_TYPE_READ_WRITE',
          },
        },
      ]);
    });

    it.for([
      ['read', 'GLOBAL_ACCESS_RULE_ACCESS_TYPE_READ_ONLY'],
      ['manage', 'GLOBAL_ACCESS_RULE_ACCESS_TYPE_MANAGE'],
    ])('access to all of the cluster where that is declared: %s', async ([access, accessType]) => {
      const all = target({ rules: [{ collection: '*', access }] });
      const { handle } = await qdrantCloudProvider.issue(all, randomUUID(), context());
      expect(one.rules.get(handle.id)).toEqual([{ globalAccess: { accessType } }]);
    });

    it('a refusal of a key that may do everything, which is found again to be ended', async () => {
      one.knowsRules = false;
      const its = target();
      const token = randomUUID();
      const refused = { code: 'ERR_REJECTED', field: 'target.rules' };
      await expect(qdrantCloudProvider.issue(its, token, context())).rejects.toMatchObject(refused);
      expect(await qdrantCloudProvider.list?.(its, context())).toMatchObject([{ token }]);
    });

    it('a difference of access between old and new that is named in both directions', async () => {
      const its = target();
      const before = await qdrantCloudProvider.issue(its, randomUUID(), context());
      const after = await qdrantCloudProvider.issue(its, randomUUID(), context());
      one.rules.set(before.handle.id, []);
      await expect(
        qdrantCloudProvider.comparePermissions?.(its, before.handle, after.handle, context()),
      ).rejects.toMatchObject({
        code: 'ERR_REJECTED',
        message: expect.stringContaining('lacks [* MANAGE] and adds [documents READ_ONLY]'),
      });
    });

    it('access that is to read only where every rule is', () => {
      const accessOf = (rules: object[]) => qdrantCloudProvider.access?.(target({ rules }));
      expect([
        accessOf([{ collection: '*', access: 'read' }]),
        accessOf([{ collection: '*', access: 'manage' }]),
        accessOf([
          { collection: 'documents', access: 'read' },
          { collection: 'memories', access: 'read-write' },
        ]),
      ]).toEqual(['read', 'write', 'write']);
    });

    it('a mark in the name of a key, in characters that Qdrant takes', async () => {
      const token = randomUUID();
      const { handle } = await qdrantCloudProvider.issue(target(), token, context());
      expect(one.keys.all.get(handle.id)?.name).toBe(`rekey_search_1_${token}`);
    });

    it('no management key for the cluster, and no new key for a host that the administrative secret is not for', async () => {
      const cluster = await FakeQdrantCloud.start();
      await using _ = cluster;
      const its = target({ baseUrl: cluster.server.url });
      await expect(qdrantCloudProvider.issue(its, randomUUID(), context())).rejects.toMatchObject({
        code: 'ERR_DECLARATION',
        field: 'target.baseUrl',
      });
      expect([...one.server.asked, ...cluster.server.asked]).toEqual([]);
      await qdrantCloudProvider.issue(its, randomUUID(), context({ baseUrl: cluster.server.url }));
      expect(cluster.server.asked).toEqual([]);
      expect(() => target({ adminUrl: one.server.url })).toThrow(/adminUrl/);
    });
  });
});
