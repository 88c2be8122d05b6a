import type { TraceAnswer } from '../../shared/api/messages.ts';
import { plusSeconds, type Instant } from '../../shared/domain/clock.ts';
import { hasWorked, type UpstreamUse } from '../../shared/domain/upstream-use.ts';
import type { ControlServices } from './route.ts';

/** So far back is looked for what is ordinary, and at so many uses. */
const BEFORE_SECONDS = 14 * 86_400;
const MOST_USES = 20_000;

/** Where workflows came from and what they touched before a moment, as upstreams tell: what is new is held against it. */
export async function seenBefore(
  { upstreamUses }: Pick<ControlServices, 'upstreamUses'>,
  credentialId: string,
  before: Instant,
): Promise<TraceAnswer['seenBefore']> {
  const found: UpstreamUse[] = [];
  for await (const use of upstreamUses.log(credentialId, plusSeconds(before, -BEFORE_SECONDS), before)) {
    // Who is refused was never let in: an attempt makes no address ordinary.
    if (use.to < before && hasWorked(use) !== false) found.push(use);
    if (found.length === MOST_USES) break;
  }
  return [...Map.groupBy(found, ({ who }) => who)].map(([who, same]) => ({
    who,
    addresses: [...new Set(same.flatMap(({ address }) => address ?? []))],
    selfNamed: same.some(({ source }) => source === 'database-log'),
    scopes: [...new Set(same.flatMap(({ scope }) => scope ?? []))],
  }));
}
