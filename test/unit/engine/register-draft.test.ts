import { describe, expect, it } from 'vitest';
import type { Overlap } from '../../../shared/domain/capabilities.ts';
import { parseEntry } from '../../../shared/domain/declaration.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';
import { draftOf, noticesOfHolders } from '../../../shared/engine/register-draft.ts';
import { pineconeProvider } from '../../../shared/providers/pinecone/provider.ts';

const NOW = Date.parse('2026-11-26T00:00:00.000Z');

async function draftWith(
  roles: readonly string[],
  policy: object,
  { usageLagSeconds, mode, overlap }: { usageLagSeconds?: number; mode?: string; overlap?: Overlap } = {},
): Promise<{ policy: object }> {
  // Nothing else is asked of the engine's parts before a draft is whole.
  const deps = {
    clock: () => NOW,
    providerFor: async () =>
      Promise.resolve({
        ...pineconeProvider,
        ...(overlap === undefined ? {} : { overlap }),
        ...(usageLagSeconds === undefined
          ? {}
          : { usageLagSeconds, usage: async () => Promise.resolve('unknown' as const) }),
      }),
  } as unknown as EngineDeps;
  const entry = parseEntry({
    name: 'search-index',
    type: 'vector-database-key',
    provider: 'pinecone',
    secret: 'agents/search-index',
    admin: 'admin/pinecone',
    target: { project: '7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11', label: 'search-index', roles },
    policy,
    ...(mode === undefined ? {} : { mode }),
    holders: [{ kind: 'polling', name: 'search-agents', ttl: '5m' }],
  });
  const options = {
    home: { tenant: 'default', account: '111122223333', region: 'eu-central-1' },
    stage: 'test',
    limits: {},
    rotationFunction: () => 'arn:aws:lambda:eu-central-1:111122223333:function:rotate',
  };
  return draftOf(deps, options, entry);
}

describe('what a target lets its credential do', () => {
  it('may be less than its policy says: the shorter interval does no harm', async () => {
    const { policy } = await draftWith(['DataPlaneViewer'], { evidenceOfUse: 'holders' });
    expect(policy).toMatchObject({ access: 'write', intervalSeconds: 14 * 86_400 });
  });

  it('lets a policy say read where it only reads (C8)', async () => {
    const { policy } = await draftWith(['DataPlaneViewer', 'ControlPlaneViewer'], {
      access: 'read',
      evidenceOfUse: 'holders',
    });
    expect(policy).toMatchObject({ access: 'read', intervalSeconds: 30 * 86_400 });
  });

  it.for([['DataPlaneEditor'], ['DataPlaneViewer', 'ControlPlaneEditor'], ['ProjectEditor']])(
    'refuses a policy that says read where it may write: %j',
    async (roles) => {
      await expect(draftWith(roles, { access: 'read' })).rejects.toMatchObject({
        code: 'ERR_POLICY',
        field: 'policy.access',
        remedy: 'leave policy.access out, or declare a target that may only read',
      });
    },
  );
});

describe('what shows that an old credential is no longer used', () => {
  const viewer = ['DataPlaneViewer'];

  it('has to be named where the upstream tells of no use, unless none is ended', async () => {
    await expect(draftWith(viewer, {})).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.evidenceOfUse',
      remedy: expect.stringContaining('evidenceOfUse: holders'),
    });
    await expect(draftWith(viewer, {}, { mode: 'overlap' })).resolves.toBeDefined();
    await expect(draftWith(viewer, { evidenceOfUse: 'holders' })).resolves.toMatchObject({
      policy: { evidenceOfUse: 'holders' },
    });
  });

  it('has to be seen within the deadline where the upstream tells of it later', async () => {
    const late = { usageLagSeconds: 3600 };
    await expect(draftWith(viewer, { deadline: '60m' }, late)).rejects.toMatchObject({
      field: 'policy.evidenceOfUse',
      remedy: expect.stringContaining('a deadline of at least 3900 s'),
    });
    await expect(draftWith(viewer, { deadline: '65m' }, late)).resolves.toBeDefined();
    await expect(draftWith(viewer, {}, { usageLagSeconds: 0 })).resolves.toBeDefined();
  });
});

describe('what a policy asks and a provider cannot do', () => {
  const viewer = ['DataPlaneViewer'];
  const evidenceOfUse = 'holders';

  it('is no soak where nothing can be suspended: none by default, and one that is declared is refused', async () => {
    await expect(draftWith(viewer, { evidenceOfUse })).resolves.toMatchObject({ policy: { soakSeconds: 0 } });
    await expect(draftWith(viewer, { evidenceOfUse, soak: '0s' })).resolves.toBeDefined();
    await expect(draftWith(viewer, { evidenceOfUse, soak: '5m' })).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.soak',
      message: "pinecone can't suspend a credential: nothing can soak",
      remedy: expect.stringContaining('leave policy.soak out'),
    });
  });

  it('is no window longer than the upstream lets an old credential live', async () => {
    const overlap = { kind: 'grace', seconds: 3600 } as const;
    const window = { evidenceOfUse, deadline: '2h' };
    await expect(draftWith(viewer, { ...window, window: '61m' }, { overlap })).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.window',
      remedy: expect.stringContaining('at most 3600 s'),
    });
    await expect(draftWith(viewer, { ...window, window: '60m' }, { overlap })).resolves.toBeDefined();
  });

  it('is no mode that keeps the old one where the upstream keeps none', async () => {
    const overlap = { kind: 'none', cutsAt: 'issue' } as const;
    await expect(draftWith(viewer, { evidenceOfUse }, { overlap, mode: 'overlap' })).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'mode',
    });
    await expect(draftWith(viewer, { evidenceOfUse }, { overlap })).resolves.toBeDefined();
  });

  it('is told all at once', async () => {
    await expect(draftWith(viewer, { soak: '5m' })).rejects.toMatchObject({
      field: 'policy.soak',
      also: [{ field: 'policy.evidenceOfUse' }],
    });
  });
});

const AUTHORITY = { name: 'shop', trustDomain: 'shop.example', leafSeconds: 60, clockSkewSeconds: 0 };

describe('the holders of a certificate authority', () => {
  const noticesOf = (type: string, ...principals: (string | undefined)[]) =>
    noticesOfHolders({
      type,
      target: AUTHORITY,
      holders: principals.map((principal, n) => ({
        kind: 'polling',
        name: `agent-${n}`,
        ttlSeconds: 60,
        ...(principal === undefined ? {} : { principal }),
      })),
    });
  const role = 'arn:aws:iam::111122223333:role/checkout';

  it('get no certificate where none has a principal, which is said', () => {
    const notice = { field: 'holders', message: expect.stringContaining('nobody gets a certificate') };
    expect(noticesOf('certificate-authority')).toEqual([expect.objectContaining(notice)]);
    expect(noticesOf('certificate-authority', undefined)).toEqual([expect.objectContaining(notice)]);
  });

  it('need none of what an authority has signed: who reads the secret has it', () => {
    const target = { authority: 'shop-ca', trustDomain: 'shop.example', holder: 'lb', leafSeconds: 60 };
    const holders = [{ kind: 'polling', name: 'lb', ttlSeconds: 60 }] as const;
    expect(noticesOfHolders({ type: 'certificate-authority', target, holders })).toEqual([]);
  });

  it('need no principal where another one has it, nor in any other type', () => {
    expect(noticesOf('certificate-authority', undefined, role)).toEqual([]);
    expect(noticesOf('signing-key', undefined)).toEqual([]);
  });
});
