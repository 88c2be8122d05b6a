import { suspicionOf, type Suspicion } from '../../shared/domain/anomalies/suspicion.ts';
import type { Finding } from '../../shared/domain/anomalies/judge.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { WeighDeps } from '../../shared/engine/anomalies/weigh.ts';
import { FakeBaselines } from './baselines.ts';
import { SignalWorld } from './signal-world.ts';

/** A role by its name. */
export const role = (name: string): string => `arn:aws:iam::111122223333:role/${name}`;
/** The value of `orders`. */
export const VALUE = 'the-value-of-orders-0123456789';
const FOUND: Finding = { rule: 'network', what: '198.51.100.0/24', text: 'from 198.51.100.0/24' };

/** Suspicions that wait, and what weighs them. */
export interface Weighing {
  readonly world: SignalWorld;
  readonly baselines: FakeBaselines;
  readonly deps: WeighDeps;
  readonly suspect: (finding?: Partial<Finding>, by?: string, secret?: string) => Promise<Suspicion>;
}

/** Weighs what is unusual of one credential, `orders`. */
export async function weighing(
  changes: Partial<Credential> = {},
  policy: Partial<WeighDeps['policy']> = {},
): Promise<Weighing> {
  const world = await SignalWorld.start();
  world.add('orders', VALUE, { secretName: 'agents/orders', ...changes });
  const baselines = new FakeBaselines();
  const deps: WeighDeps = {
    baselines,
    ledger: {
      idBySecret: (secret) =>
        Promise.resolve([...world.credentials.values()].find(({ secretName }) => secretName === secret)?.id),
      credential: (id) => Promise.resolve(world.credentials.get(id)),
    },
    signals: world.services.deps,
    policy: { ...world.services.policy, unusual: 'tell', ...policy },
    clock: () => world.now,
  };
  const suspect: Weighing['suspect'] = async (finding = {}, by = 'crawler', secret = 'agents/orders') => {
    const reader = { kind: 'role', principal: role(by) } as const;
    const suspicion = suspicionOf(secret, reader, toInstant(world.now), { ...FOUND, ...finding });
    await baselines.suspect(suspicion);
    return suspicion;
  };
  return { world, baselines, deps, suspect };
}

/** The rules of each record that told. */
export function reasonsTold(world: SignalWorld): string[][] {
  return world.drafts.map(({ evidence }) =>
    (evidence as { reasons: { rule: string }[] }).reasons.map(({ rule }) => rule),
  );
}
