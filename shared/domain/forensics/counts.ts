import { plusSeconds, type Instant } from '../clock.ts';
import type { Finding } from './classify.ts';
import type { Exposure } from './exposure.ts';
import type { TracedUse } from './facts.ts';

/** Uses by the minute: what upstreams have counted of each key, and what agents have reported of each version. */
export interface Counts {
  readonly counted: ReadonlyMap<string, number>;
  readonly reported: ReadonlyMap<string, number>;
}

/** An upstream may count in the minute before or after the one in which an agent reports. */
const SLACK_MINUTES = 1;

/** All counts of these uses. */
export function countsOf(uses: readonly TracedUse[]): Counts {
  const counted = new Map<string, number>();
  const reported = new Map<string, number>();
  for (const { of, from, succeeded, refused = 0 } of uses) {
    if (succeeded === undefined) continue;
    if (of.kind === 'key') add(counted, of.id, from, succeeded);
    // Whatever an agent was refused, the upstream may have counted.
    if (of.kind === 'version') add(reported, of.versionId, from, succeeded + refused);
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
  const hour = `${from.slice(0, 13)}:00:00.000Z`;
  const upstream = sum(counted, [of.id], hour, 0);
  const agents = sum(reported, versionIds, hour, SLACK_MINUTES);
  const text = `in the hour from ${hour} the upstream has counted ${upstream}`;
  if (upstream <= agents)
    return { aspect: 'count', verdict: 'fits', text: `${text}; agents have reported ${agents}` };
  const more = `${text}, ${upstream - agents} more than agents have reported`;
  return silent.length === 0
    ? { aspect: 'count', verdict: 'contradicts', text: more }
    : { aspect: 'count', verdict: 'unknown', text: `${more}; of ${silent.join(', ')} nothing is reported` };
}

function add(to: Map<string, number>, id: string, from: Instant, count: number): void {
  const key = `${from.slice(0, 16)} ${id}`;
  to.set(key, (to.get(key) ?? 0) + count);
}

function sum(
  of: ReadonlyMap<string, number>,
  ids: readonly string[],
  hour: Instant,
  slackMinutes: number,
): number {
  let total = 0;
  for (let minute = -slackMinutes; minute < 60 + slackMinutes; minute++) {
    const at = plusSeconds(hour, minute * 60).slice(0, 16);
    for (const id of ids) total += of.get(`${at} ${id}`) ?? 0;
  }
  return total;
}
