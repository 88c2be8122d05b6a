import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { diagnose, type DiagnoseDeps } from '../../../shared/engine/diagnose.ts';
import type { AnyProvider } from '../../../shared/providers/provider.ts';
import { credentialOf } from '../api/fakes.ts';

/** What a diagnosis says of a credential whose provider needs no administrative login, and which secrets it reads. */
async function diagnosed(changes: Parameters<typeof credentialOf>[0], survey?: AnyProvider['survey']) {
  const read: string[] = [];
  const material = new Redacted({});
  const { adminSecret: _none, ...credential } = credentialOf(changes);
  const provider = {
    needsAdmin: false,
    storedTarget: (target: unknown) => target,
    material: () => material,
    secretPart: () => new Redacted('secret'),
    preflight: async () => Promise.resolve([]),
    verify: async () => Promise.resolve(),
    adoption: { dependencies: async () => Promise.resolve([]) },
    survey,
  };
  // Of the engine's parts only these are asked, and of the provider only single steps.
  const deps = {
    clock: () => Date.parse('2026-11-22T12:00:00Z'),
    ledger: {
      credential: async () => Promise.resolve(credential),
      rotation: async () => Promise.resolve(undefined),
    },
    vault: {
      describe: async () => Promise.resolve(undefined),
      read: async (secret: string) => {
        read.push(secret);
        return Promise.resolve(new Redacted('text'));
      },
    },
    // A diagnosis asks a provider, and the engine's parts, for no more than stands here.
    providerFor: async () => Promise.resolve(provider as unknown as AnyProvider),
    reach: { privateHosts: [] },
    troubleOf: () => 'unexpected',
    stepLimitMs: 1000,
  } as unknown as DiagnoseDeps;
  const {
    checks,
    admin,
    survey: surveyed,
  } = await diagnose(deps, { stage: 'prod', rotationFunction: 'arn' }, credential.id);
  return {
    target: checks.filter(({ area }) => area === 'target'),
    admin,
    surveyed,
    read,
    secret: credential.secretArn,
  };
}

describe('a diagnosis where no administrative login is needed', () => {
  it('asks the target all the same, reads no secret but that of the agents, and misses none', async () => {
    const { target, admin, read, secret } = await diagnosed({});
    expect(target).toMatchObject([
      { name: 'administered', state: 'ok', detail: expect.stringContaining('Rekey’s own role') },
      { name: 'login', state: 'ok' },
    ]);
    expect(admin).toBeUndefined();
    expect(new Set(read)).toEqual(new Set([secret]));
  });

  it('tells of what is only observed what a take-over would meet', async () => {
    const { target, admin } = await diagnosed({ adoption: 'observed', mode: 'observe' });
    expect(target).toMatchObject([{ name: 'take-over', state: 'ok' }]);
    expect(admin).toBeUndefined();
  });

  it('tells what exists at the upstream, also of what is only observed, and stays well where that can’t be told', async () => {
    const all = { owner: 'iam:orders', credentials: [{ id: 'AKIA1' }] };
    const seen = async () => Promise.resolve(all);
    expect((await diagnosed({}, seen)).surveyed).toEqual(all);
    expect((await diagnosed({ adoption: 'observed', mode: 'observe' }, seen)).surveyed).toEqual(all);
    const denied = async () => Promise.reject(new RekeyError('ERR_ADMIN_DENIED', 'may not list'));
    const { surveyed, target } = await diagnosed({}, denied);
    expect(surveyed).toBeUndefined();
    expect(target.every(({ state }) => state === 'ok')).toBe(true);
  });
});
