import type { Sighting } from '../../domain/anomalies/baseline.ts';
import { judge } from '../../domain/anomalies/judge.ts';
import { suspicionOf, type Suspect, type Suspicion } from '../../domain/anomalies/suspicion.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Baselines } from '../../ports/baselines.ts';

/** Tries to keep a baseline that others change as well. */
const ATTEMPTS = 5;

/** What was seen of somebody. */
export interface Seen {
  readonly who: Suspect;
  readonly sighting: Sighting;
}

/**
 * Holds what was seen, in its order, against one baseline of a secret, and learns from it; answers how much was unusual. Suspicions
 * are kept before what was learnt: a process that dies in between finds the same ones again, which are kept once.
 */
export async function learn(
  baselines: Pick<Baselines, 'read' | 'suspect' | 'keep'>,
  secret: string,
  of: string | undefined,
  seen: readonly Seen[],
): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { baseline, version } = await baselines.read(secret, of);
    const suspicions = new Map<string, Suspicion>();
    let after = baseline;
    for (const { who, sighting } of seen) {
      const next = judge(after, sighting);
      ({ after } = next);
      for (const finding of next.findings) {
        const suspicion = suspicionOf(secret, who, sighting.at, finding);
        suspicions.set(suspicion.id, suspicion);
      }
    }
    for (const suspicion of suspicions.values()) await baselines.suspect(suspicion);
    if (after === baseline || (await baselines.keep(secret, of, { baseline: after, version })))
      return suspicions.size;
  }
  throw new RekeyError('ERR_CONFLICT', 'what is usual of a credential is changed by others all the time');
}
