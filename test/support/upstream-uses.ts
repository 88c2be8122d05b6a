import type { Instant } from '../../shared/domain/clock.ts';
import type { Interval } from '../../shared/domain/forensics/facts.ts';
import {
  DEPLOYMENT,
  gathered,
  type UpstreamSource,
  type UpstreamUse,
  type UseCoverage,
} from '../../shared/domain/upstream-use.ts';
import type { UpstreamUses } from '../../shared/ports/upstream-uses.ts';

/** What upstreams tell, in memory; nothing of it is ever forgotten. */
export class MemoryUpstreamUses implements UpstreamUses {
  uses: UpstreamUse[] = [];
  readonly covered: UseCoverage[] = [];

  async keep(uses: readonly UpstreamUse[]): Promise<number> {
    const before = new Set(this.uses.map((use) => JSON.stringify(use)));
    this.uses = gathered([...this.uses, ...uses]);
    return Promise.resolve(this.uses.filter((use) => !before.has(JSON.stringify(use))).length);
  }

  async cover(source: UpstreamSource, of: string, times: readonly Interval[]): Promise<void> {
    this.covered.push(...times.map((time) => ({ source, of, ...time })));
    return Promise.resolve();
  }

  async *log(credentialId: string, from: Instant, to: Instant): AsyncIterable<UpstreamUse> {
    await Promise.resolve();
    yield* this.uses
      .filter((use) => use.credentialId === credentialId && use.to >= from && use.from <= to)
      .toSorted((a, b) => (a.from < b.from ? -1 : 1));
  }

  async *begun(credentialId: string, from: Instant, to: Instant): AsyncIterable<UpstreamUse> {
    await Promise.resolve();
    yield* this.uses.filter((use) => use.credentialId === credentialId && use.from >= from && use.from < to);
  }

  async coverage(credentialId: string, server?: string): Promise<readonly UseCoverage[]> {
    return Promise.resolve(this.covered.filter(({ of }) => [credentialId, DEPLOYMENT, server].includes(of)));
  }
}
