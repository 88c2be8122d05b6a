import type { Instant } from '../clock.ts';
import { countOf, countsOf, type Counts } from './counts.ts';
import { classify, placeOf, type Finding, type Place, type UseClass } from './classify.ts';
import { exposureOf, spanOf, type Exposure } from './exposure.ts';
import type { Interval, Ordinary, Source, TracedKey, TracedUse } from './facts.ts';
import { gapsOf, type Gap } from './gaps.ts';
import { merged } from './intervals.ts';

/** What is known of one credential in one incident. */
export interface Facts {
  readonly keys: readonly TracedKey[];
  readonly uses: readonly TracedUse[];
  readonly sources: readonly Source[];
  readonly ordinary: Ordinary;
  /** Holders that report no uses: what an upstream counts beyond all reports may be theirs. */
  readonly silent?: readonly string[];
  /** Until when its values are known to be good, beside what the records say. */
  readonly knownGood?: Instant;
  /** Nothing is known of the time before. */
  readonly since: Instant;
  readonly now: Instant;
}

/** A use of an exposed value, with its class and why. */
export interface ClassedUse extends TracedUse {
  readonly fingerprints: readonly string[];
  readonly place: Exclude<Place, 'before'>;
  readonly class: UseClass;
  readonly findings: readonly Finding[];
}

/** What one credential's part of an incident comes to. */
export interface Investigation {
  readonly exposures: readonly Exposure[];
  /** The exposures together. */
  readonly spans: readonly Interval[];
  /** Every use of an exposed value from the beginning of its exposure on, by time. */
  readonly uses: readonly ClassedUse[];
  readonly gaps: readonly Gap[];
}

/** Works out exposure, uses and gaps. Pure, so that the same facts come to the same report. */
export function investigate(facts: Facts): Investigation {
  const { keys, knownGood, since, now, sources } = facts;
  const counts = countsOf(facts.uses);
  const exposures = keys.map((key) => exposureOf(key, knownGood));
  const spans = merged(exposures.map((exposure) => spanOf(exposure, since, now)));
  const isOpenAtStart = exposures.some(({ from }) => from === undefined);
  const unknownBefore: Gap[] = isOpenAtStart
    ? [{ source: 'every source', to: since, why: 'the value was there before Rekey kept records of it' }]
    : [];
  return {
    exposures,
    spans,
    uses: facts.uses
      .flatMap((use) => classed(use, exposures, counts, facts))
      .toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0)),
    gaps: [...unknownBefore, ...gapsOf(sources, spans)],
  };
}

const WORST: readonly UseClass[] = ['suspect', 'unexplained', 'expected'];

/** A use with its class; nothing where it is of no exposed value, or came before. Of several values, the worst class. */
function classed(
  use: TracedUse,
  exposures: readonly Exposure[],
  counts: Counts,
  { ordinary, silent = [] }: Facts,
): ClassedUse[] {
  const met = exposures.flatMap((exposure) => {
    if (!isOf(use, exposure)) return [];
    const place = placeOf(use, exposure);
    // Which value it was, it doesn't say: of one that was dead already it was none.
    if (place === 'before' || (place === 'after' && !namesValue(use))) return [];
    const count = countOf(use, exposure, counts, silent);
    return [{ exposure, place, ...classify(use, place, exposure, ordinary, count) }];
  });
  const [worst] = met.toSorted((a, b) => WORST.indexOf(a.class) - WORST.indexOf(b.class));
  if (worst === undefined) return [];
  const { place, findings } = worst;
  const fingerprints = met.map(({ exposure }) => exposure.fingerprint);
  return [{ ...use, fingerprints, place, class: worst.class, findings }];
}

/** A version and a key are of one value; a login has a value after the other. */
function namesValue({ of }: TracedUse): boolean {
  return of.kind === 'version' || of.kind === 'key';
}

function isOf({ of }: TracedUse, { versionIds, handle }: Exposure): boolean {
  if (of.kind === 'version') return versionIds.includes(of.versionId);
  return of.kind === 'unknown' || handle.slice(0, handle.lastIndexOf('#')) === of.id;
}
