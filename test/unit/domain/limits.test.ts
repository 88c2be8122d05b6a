import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import { impactOf } from '../../../shared/domain/impact.ts';
import { limitsOf } from '../../../shared/domain/limits.ts';
import { credentialOf } from '../api/fakes.ts';

const of = (type: string, provider: string, soakSeconds = 0) =>
  limitsOf({ type, provider, live: [{}], policy: { ...credentialOf().policy, soakSeconds } });

describe('what the upstream of a credential allows', () => {
  it('is told of a database, which does everything at once', () => {
    expect(of('database', 'postgresql')).toEqual([
      'old and new work beside each other until the old one is revoked: 2 at a time, 1 now',
      'what is revoked is dead at once',
      'it shows at once who still uses the old one',
    ]);
  });

  it('is told of keys that can’t be suspended and spread slowly', () => {
    expect(of('llm-key', 'openai')).toEqual([
      'old and new work beside each other until the old one is revoked: 2 at a time, 1 now',
      'a new one may be refused for up to 30s after it was made',
      'nothing can be suspended: there is no soak, and the revocation is the first step',
      'what is revoked may work for 1m more',
      'it shows a use up to 1h later',
    ]);
  });

  it('is told of what is kept for what it has made', () => {
    expect(of('certificate-authority', 'x509', 90_000)).toContain(
      'nothing can be suspended: for 25h the old one is kept for what it has made, and then revoked',
    );
  });

  it('is told of a pool, and of an owner who may have two', () => {
    expect(of('llm-key', 'anthropic')).toContain(
      'new ones come from a pool that a person fills: the upstream lets nobody else make them',
    );
    expect(of('cloud-key', 'aws-iam')).toContain('its owner may have 2 there at most, whoever made them');
  });

  it('is nothing where nobody knows the provider', () => {
    expect(of('database', 'abacus')).toEqual([]);
  });
});

describe('the impact of a rotation', () => {
  const now = Date.parse('2026-11-26T00:00:00.000Z');
  const policy = { ...credentialOf().policy, soakSeconds: 600 };
  const holders = [{ kind: 'polling', name: 'agents', ttlSeconds: 60 }] as const;
  const predicted = (type: string, provider: string) =>
    impactOf(credentialOf({ type, provider, policy, holders, mode: 'enforce' }), now);

  it('has no suspension where the upstream knows none, and the soak that the policy says', () => {
    const milestones = (type: string, provider: string) =>
      predicted(type, provider).now.map(({ milestone }) => milestone);
    expect(milestones('llm-key', 'anthropic')).toContain('suspension');
    expect(milestones('llm-key', 'openai')).not.toContain('suspension');
    const at = (type: string, provider: string) =>
      predicted(type, provider).now.find(({ milestone }) => milestone === 'revocation')?.at;
    const proven = predicted('llm-key', 'anthropic').now.find(({ milestone }) => milestone === 'suspension');
    const revoked = toInstant(Date.parse(proven?.at ?? '') + 600_000);
    expect([at('llm-key', 'anthropic'), at('certificate-authority', 'x509')]).toEqual([revoked, revoked]);
  });

  it('says how long a revocation takes until it is in effect', () => {
    const text = (type: string, provider: string) => predicted(type, provider).irreversible[0]?.text;
    expect(text('llm-key', 'openai')).toContain('old credential, in effect within 1m; until then');
    expect(text('database', 'postgresql')).toContain('old credential; until then');
  });
});
