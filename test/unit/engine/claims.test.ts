import { describe, expect, it } from 'vitest';
import type { Claim } from '../../../shared/domain/claim.ts';
import { claimsOf } from '../../../shared/engine/claims.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';

const FINGERPRINT = 'sha256:0a';

/** Claims of a ledger in memory, in which these credentials are registered. */
function ledgerOf(registered: readonly string[], standing?: Claim): Pick<EngineDeps, 'ledger' | 'clock'> {
  let claim = standing;
  const ledger = {
    claimOf: async () => Promise.resolve(claim),
    claim: async (wanted: Claim) => Promise.resolve((claim ??= wanted)),
    unclaim: async ({ token }: Claim) => {
      if (claim?.token === token) claim = undefined;
      return Promise.resolve();
    },
    credential: async (id: string) => Promise.resolve(registered.includes(id) ? { id } : undefined),
  };
  // Claims ask the ledger for no more than stands here.
  return { ledger: ledger as unknown as EngineDeps['ledger'], clock: () => 0 };
}

const theirs: Claim = {
  fingerprint: FINGERPRINT,
  credentialId: 'former',
  token: 'theirs',
  generation: 3,
  at: '2026-01-01T00:00:00.000Z',
};
const wanted = { fingerprint: FINGERPRINT, token: 'ours', generation: 1 };

describe('the claims of a credential', () => {
  it('are seen as its own or as another’s, whoever asks', async () => {
    const deps = ledgerOf(['former', 'now'], theirs);
    expect(await claimsOf(deps, 'former').of([FINGERPRINT])).toEqual([{ ...theirs, own: true }]);
    expect(await claimsOf(deps, 'now').of([FINGERPRINT])).toEqual([{ ...theirs, own: false }]);
    expect(await claimsOf(deps, undefined).of([FINGERPRINT])).toEqual([{ ...theirs, own: false }]);
  });

  it('never take what another has, though that one be registered no more: its agents go on with it', async () => {
    const taken = await claimsOf(ledgerOf(['now'], theirs), 'now').take(wanted);
    expect(taken).toEqual({ ...theirs, own: false });
  });

  it('inherit a key in use where whoever had it is registered no more, and only there', async () => {
    const inherited = await claimsOf(ledgerOf(['now'], theirs), 'now').inherit(wanted);
    expect(inherited).toMatchObject({ own: true, token: 'ours', generation: 1 });
    const refused = await claimsOf(ledgerOf(['former', 'now'], theirs), 'now').inherit(wanted);
    expect(refused).toEqual({ ...theirs, own: false });
  });

  it('are none before the credential is registered', async () => {
    const claims = claimsOf(ledgerOf([]), undefined);
    await expect(Promise.resolve().then(async () => claims.take(wanted))).rejects.toMatchObject({
      code: 'ERR_PROTOCOL',
    });
  });
});
