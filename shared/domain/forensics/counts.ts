import type { Finding } from './classify.ts';
import type { Exposure } from './exposure.ts';
import type { TracedUse } from './facts.ts';

/**
 * What an upstream's count comes to beside what agents have reported of the same value: by the hour, since neither clock nor
 * bucket of the two is the same. Undefined for uses that no upstream has counted.
 */
export function countOf(
  use: TracedUse,
  exposure: Exposure,
  uses: readonly TracedUse[],
  silent: readonly string[],
): Finding | undefined {
  if (!isCounted(use)) return undefined;
  const about = { aspect: 'count' } as const;
  const hour = hourOf(use);
  const isOfKey = ({ of }: TracedUse): boolean => of.kind === 'key' && 'id' in use.of && of.id === use.of.id;
  const counted = sum(uses.filter((each) => isCounted(each) && isOfKey(each) && hourOf(each) === hour));
  const reported = sum(
    uses.filter(
      ({ of, ...each }) =>
        of.kind === 'version' &&
        each.succeeded !== undefined &&
        exposure.versionIds.includes(of.versionId) &&
        hourOf(each) === hour,
    ),
  );
  const text = `in the hour from ${hour}:00Z the upstream has counted ${counted}`;
  if (counted <= reported)
    return { ...about, verdict: 'fits', text: `${text}, and agents have reported ${reported}` };
  const more = `${text}, ${counted - reported} more than agents have reported`;
  return silent.length === 0
    ? { ...about, verdict: 'contradicts', text: more }
    : { ...about, verdict: 'unknown', text: `${more}; ${silent.join(', ')} report nothing` };
}

function isCounted({ of, succeeded }: TracedUse): boolean {
  return of.kind === 'key' && succeeded !== undefined;
}

function hourOf({ from }: Pick<TracedUse, 'from'>): string {
  return from.slice(0, 13);
}

function sum(uses: readonly Pick<TracedUse, 'succeeded' | 'refused'>[]): number {
  return uses.reduce((total, { succeeded = 0, refused = 0 }) => total + succeeded + refused, 0);
}
