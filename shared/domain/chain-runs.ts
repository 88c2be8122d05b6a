import type { AuditRecord, ChainFault } from './audit.ts';

/** Records of one credential without a gap between them: what has to be kept of them to check what comes before and after. */
export interface ChainRun {
  readonly first: number;
  readonly last: number;
  /** Hash that the first one says was before it. */
  readonly previous: string;
  /** Hash of the last one. */
  readonly hash: string;
}

/** A fault between runs; a gap goes to `to`. */
export type RunFault = Pick<ChainFault, 'seq' | 'fault'> & { readonly to?: number };

/** The runs in records of one credential that are sorted by number; what comes twice counts once. */
export function runsOf(chain: readonly AuditRecord[]): ChainRun[] {
  const runs: ChainRun[] = [];
  for (const { metadata, integrity } of chain) {
    const seq = metadata.sequence;
    const run = runs.at(-1);
    if (run !== undefined && seq <= run.last) continue;
    const next = { first: seq, last: seq, previous: integrity.previous, hash: integrity.hash };
    if (run?.last === seq - 1) runs.splice(-1, 1, { ...next, first: run.first, previous: run.previous });
    else runs.push(next);
  }
  return runs;
}

/**
 * Joins runs of one chain in any order, from the number `from` on, before which the chain has the hash `hash` where that is known:
 * what is wrong between them, and where they end. What is wrong within each of them is for `checkStretch`.
 */
export function joinRuns(
  runs: readonly ChainRun[],
  from: { seq: number; hash: string | undefined },
): { readonly faults: readonly RunFault[]; readonly next: number; readonly hash: string | undefined } {
  const faults: RunFault[] = [];
  let { seq: next, hash } = from;
  for (const run of [...runs].sort((a, b) => a.first - b.first)) {
    for (let seq = run.first; seq < next && seq <= run.last; seq++) faults.push({ seq, fault: 'duplicate' });
    if (run.last < next) continue;
    // The link of the first record of all is within its stretch.
    if (run.first === next && hash !== undefined && next > 1 && run.previous !== hash)
      faults.push({ seq: next, fault: 'link' });
    if (run.first > next) faults.push({ seq: next, to: run.first - 1, fault: 'gap' });
    next = run.last + 1;
    ({ hash } = run);
  }
  return { faults, next, hash };
}
