import { describe, expect, it } from 'vitest';
import { credentialView } from '../../../shared/api/views.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { revocationPlan } from '../../../cli/revocation.ts';
import { credentialOf } from '../api/fakes.ts';

const root = { owner: 'platform', scope: 'keys of one project' };
const own = { type: 'root', secretName: 'admin/openai', adminSecret: 'admin/openai', root };
const text = 'delete the key "spare-1" at https://console.example';

function planOf(changes: Partial<Credential>, replace = true) {
  const manualRevocation = [{ handle: { id: 'k', generation: 1 }, text }];
  const credential = credentialView(credentialOf(changes), undefined, 0);
  return revocationPlan({ credential, manualRevocation }, { replace });
}

describe('what a revocation would do', () => {
  it('is to end and to replace what Rekey may end, and no person ends anything', () => {
    const plan = planOf({});
    expect(plan).toMatchObject({ kind: 'rekey', manual: false, byHand: [] });
    expect(plan.steps.join()).toMatch(/revoked at the target at once.*told to halt.*new credential is made/);
  });

  it.each(['llm-key/cohere', 'vector-database-key/chroma-cloud'])(
    'waits for a person where no other can end a key, and says which and where: %s',
    (key) => {
      const [type = '', provider = ''] = key.split('/');
      const plan = planOf({ type, provider });
      expect(plan).toMatchObject({ kind: 'manual', manual: true, byHand: [text] });
      expect(plan.steps.join()).toContain('works until somebody has deleted it');
      expect(plan.steps.join()).toContain('next key of the pool');
      expect(plan.steps.join()).not.toContain('at once, and open sessions');
      expect(planOf({ type, provider }, false).steps.join()).toContain('nothing replaces it');
    },
  );

  it.each([
    [
      'vector-database-key/qdrant-static',
      /hook of qdrant-static is told at once.*work until that is done.*5m/,
    ],
    ['vector-database-key/chroma', /hook of chroma is told at once/],
    ['llm-key/openai', /ended at openai at once; there one may be taken for 1m more/],
  ])('is as soon as its upstream lets it be: %s', (key, said) => {
    const [type = '', provider = ''] = key.split('/');
    const { kind, steps } = planOf({ type, provider });
    expect([kind, steps[0]]).toEqual(['rekey', expect.stringMatching(said)]);
  });

  it('says what ends with a certificate authority, and what of that is replaced by itself', () => {
    const of = (provider: string) => planOf({ type: 'certificate-authority', provider }).steps.join();
    expect(of('x509')).toMatch(
      /certificates that it has signed end with it.*provider leaf.*is rotated within minutes/,
    );
    expect(of('private-ca')).toMatch(/certificates that it has signed end with it/);
    expect(of('leaf')).not.toMatch(/end with it/);
  });

  it('is nothing for a root that a person replaces, but what its owner does', () => {
    const byHand = 'end it at Mistral';
    const task = { ...own, provider: 'by-hand', mode: 'observe', adoption: 'observed', byHand } as const;
    const plan = planOf(task);
    expect(plan).toMatchObject({ kind: 'by-hand', manual: true, byHand: [byHand] });
    expect(plan.steps[0]).toBe('Rekey ends nothing: platform has to end it at its upstream, by hand');
    expect(plan.steps[1]).toMatch(/told to halt.*nothing replaces it/);
    expect(plan.steps.join()).not.toMatch(/revoked at the target|credential is made/);
  });

  it('is nothing for what is only observed', () => {
    const plan = planOf({ adoption: 'observed', mode: 'observe' });
    expect(plan).toMatchObject({ kind: 'observed', manual: true, byHand: [text] });
    expect(plan.steps[0]).toContain('only observed');
  });

  it('leaves no successor where a root is its own administrator', () => {
    const plan = planOf({ ...own, provider: 'openai-admin', mode: 'enforce', adoption: 'adopted' });
    expect(plan).toMatchObject({ kind: 'own-login', manual: false, byHand: [] });
    expect(plan.steps.join()).toMatch(/Rekey can make no other.*ends as failed.*platform has replaced it/);
    expect(plan.steps.join()).not.toContain('agents may resume');
    expect(planOf({ ...own, adminSecret: 'admin/keeper', provider: 'openai-admin' }).kind).toBe('rekey');
  });
});
