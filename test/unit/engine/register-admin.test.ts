import { describe, expect, it } from 'vitest';
import { parseEntry } from '../../../shared/domain/declaration.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';
import { draftOf, type RegisterOptions } from '../../../shared/engine/register-draft.ts';
import type { AnyProvider } from '../../../shared/providers/provider.ts';

const ENTRY = { name: 'shop', type: 'database', provider: 'abacus', secret: 'agents/shop', target: {} };

async function draft(entry: object, needsAdmin?: false) {
  const provider = {
    target: (target: unknown) => target,
    usage: () => 'unknown',
    overlap: { kind: 'dual', maxLive: 2 },
    ...(needsAdmin === undefined ? {} : { needsAdmin }),
  };
  const deps = {
    clock: Date.now,
    // Of a provider only the form of its target has a say here, and of the engine's parts only these two.
    providerFor: async () => Promise.resolve(provider as unknown as AnyProvider),
  } as unknown as EngineDeps;
  const options: RegisterOptions = {
    home: { tenant: 'default', account: '111122223333', region: 'eu-central-1' },
    stage: 'prod',
    limits: { minWindowSeconds: 900 },
    rotationFunction: () => 'arn',
  };
  return draftOf(deps, options, parseEntry({ ...ENTRY, ...entry }));
}

describe('the administrative login of a declaration', () => {
  it.each([
    [{}],
    [{ mode: 'observe' }],
    [{ adopt: true, mode: 'overlap' }],
    [{ adopt: true, mode: 'enforce' }],
  ])('is needed where Rekey is to act: %j', async (entry) => {
    await expect(draft(entry)).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'admin' });
    await expect(draft({ ...entry, admin: 'admin/shop' })).resolves.toMatchObject({
      adminSecret: 'admin/shop',
    });
  });

  it('is not needed for what is only observed', async () => {
    await expect(draft({ adopt: true })).resolves.toMatchObject({ adoption: 'observed', mode: 'observe' });
  });

  it('is not needed where Rekey’s own role is let in, and refused there: nobody would read it', async () => {
    await expect(draft({}, false)).resolves.not.toHaveProperty('adminSecret');
    await expect(draft({ admin: 'admin/shop' }, false)).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'admin',
    });
  });
});
