import { plusSeconds, type Instant } from '../clock.ts';
import type { Finding } from './classify.ts';
import type { Exposure } from './exposure.ts';
import type { TracedUse } from './facts.ts';

/** Uses by the hour: what upstreams have counted of each key, and what agents have reported of each version. */
export interface Counts {
  readonly counted: ReadonlyMap<string, number>;
  readonly reported: ReadonlyMap<string, number>;
}

/** An upstream may count in the minute before or after the one in which an agent reports. */
const SLACK_SECONDS = 60;

/** All counts of these uses. */
export function countsOf(uses: readonly TracedUse[]): Counts {
  const counted = new Map<string, number>();
  const reported = new Map<string, number>();
  for (const { of, from, to, succeeded, refused = 0 } of uses) {
    if (succeeded === undefined) continue;
    if (of.kind === 'key') add(counted, of.id, hourOf(from), succeeded);
    if (of.kind !== 'version') continue;
    // One report covers minutes, and nobody knows in which of two hours its uses were: they are held for both.
    for (const hour of new Set(
      [plusSeconds(from, -SLACK_SECONDS), plusSeconds(to, SLACK_SECONDS)].map(hourOf),
    ))
      // Whatever an agent was refused, the upstream may have counted.
      add(reported, of.versionId, hour, succeeded + refused);
  }
  return { counted, reported };
}

/**
 * What an upstream's count comes to beside what agents have reported of the same value: by the hour, since neither clock nor
 * minute of the two is the same. Undefined for uses that no upstream has counted. `silent` are holders that report nothing.
 */
export function countOf(
  { of, from, succeeded }: TracedUse,
  { versionIds }: Exposure,
  { counted, reported }: Counts,
  silent: readonly string[],
): Finding | undefined {
  if (of.kind !== 'key' || succeeded === undefined) return undefined;
  const hour = hourOf(from);
  const upstream = counted.get(keyOf(of.id, hour)) ?? 0;
  const agents = versionIds.reduce((sum, id) => sum + (reported.get(keyOf(id, hour)) ?? 0), 0);
  const text = `in the hour from ${hour} the upstream has counted ${upstream}`;
  if (upstream <= agents)
    return { aspect: 'count', verdict: 'fits', text: `${text}; agents have reported ${agents}` };
  const more = `${text}, ${upstream - agents} more than agents have reported`;
  return silent.length === 0
    ? { aspect: 'count', verdict: 'contradicts', text: more }
    : { aspect: 'count', verdict: 'unknown', text: `${more}; of ${silent.join(', ')} nothing is reported` };
}

function add(to: Map<string, number>, id: string, hour: Instant, count: number): void {
  const key = keyOf(id, hour);
  to.set(key, (to.get(key) ?? 0) + count);
}

const keyOf = (id: string, hour: Instant): string => `${hour} ${id}`;
const hourOf = (at: Instant): Instant => `${at.slice(0, 13)}:00:00.000Z`;
