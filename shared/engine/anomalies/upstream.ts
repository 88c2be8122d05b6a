import { nextSlot } from '../../domain/anomalies/slots.ts';
import { sightingAt, TOLD_WITHIN, workflowOf } from '../../domain/anomalies/upstream.ts';
import { plusSeconds, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { UPSTREAM_SOURCES, type UpstreamUse } from '../../domain/upstream-use.ts';
import type { Baselines } from '../../ports/baselines.ts';
import type { UpstreamUses } from '../../ports/upstream-uses.ts';
import { learn } from './learn.ts';

/** What upstreams tell is judged with. */
export interface UpstreamDeps {
  readonly baselines: Pick<Baselines, 'read' | 'keep' | 'suspect'>;
  readonly upstreamUses: Pick<UpstreamUses, 'begun'>;
}

/**
 * Holds what upstreams have told of a credential against what is usual of it at each source, and against what it is declared to
 * open. `slot` is that of the agents' reports: each source is judged by an earlier one, of which it has told by then. One baseline
 * for each source: whoever uses a stolen value chooses what the upstream calls them, and would have a baseline of their own.
 */
export async function judgeUpstream(
  deps: UpstreamDeps,
  credential: Credential,
  slot: Instant,
): Promise<number> {
  let unusual = 0;
  for (const [lag, sources] of Map.groupBy(UPSTREAM_SOURCES, (source) => TOLD_WITHIN[source])) {
    const from = plusSeconds(slot, -lag);
    const found: UpstreamUse[] = [];
    for await (const use of deps.upstreamUses.begun(credential.id, from, nextSlot(from))) found.push(use);
    for (const source of sources) {
      const uses = found
        .filter((use) => use.source === source && !isReadOfSecret(use))
        .toSorted((a, b) => (a.from < b.from ? -1 : 1));
      if (uses.length === 0) continue;
      unusual += await learn(
        deps.baselines,
        credential.secretName,
        JSON.stringify(['upstream', source]),
        uses.map((use) => ({ who: workflowOf(use), sighting: sightingAt(use, credential) })),
      );
    }
  }
  return unusual;
}

/** It was judged as it was read (`observe.ts`). */
function isReadOfSecret({ source, keyId }: UpstreamUse): boolean {
  return source === 'cloudtrail' && keyId === undefined;
}
