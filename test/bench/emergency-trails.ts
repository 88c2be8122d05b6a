import type { World } from '../../local/demo/world.ts';
import { checkChain, type AuditRecord } from '../../shared/domain/audit.ts';
import { inParallel } from '../support/in-parallel.ts';
import { median, ratio, type Figures } from './figures.ts';
import { ledgerOf, type Made } from './many-credentials.ts';
import { LOOKS_AT_ONCE } from './many-emergencies.ts';

/** Of a credential with each record of the emergency once, and a whole chain: when each step was over. */
export interface Course {
  readonly revoked: number;
  readonly recorded: number;
  readonly halted: number;
}

const OF_EACH = ['emergency-intended', 'emergency-revoked', 'agents-halted'];

/** Which trails have it all once, and when each step was over in those, in milliseconds since it was asked for. */
export async function coursesOf(world: World, made: readonly Made[], askedAt: number): Promise<Course[]> {
  const ledger = ledgerOf(world);
  const courses: Course[] = [];
  await inParallel(
    made,
    async ({ credential: { id } }) => {
      const records: AuditRecord[] = [];
      for await (const record of ledger.records(id)) records.push(record);
      const head = await ledger.credential(id);
      const once = OF_EACH.every((what) => records.filter(({ message }) => message === what).length === 1);
      if (!once || head?.live.length !== 0 || checkChain(records, head).length > 0) return;
      const at = (what: string): AuditRecord | undefined => records.find(({ message }) => message === what);
      const { revocation } = JSON.parse(at('emergency-revoked')?.entity.data.evidence ?? '{}') as {
        revocation?: { revokedAt: string };
      };
      courses.push({
        revoked: Date.parse(revocation?.revokedAt ?? '') - askedAt,
        recorded: (at('emergency-revoked')?.time ?? Number.NaN) - askedAt,
        halted: (at('agents-halted')?.time ?? Number.NaN) - askedAt,
      });
    },
    LOOKS_AT_ONCE,
  );
  return courses;
}

/** The slowest step of an emergency `name`, by medians. A record of what the ledger takes nothing of waits until it does. */
export function slowestOf(name: string, courses: readonly Course[]): Figures {
  if (courses.length === 0) return {};
  const steps = Object.entries({
    'revocation at the upstream': courses.map(({ revoked }) => revoked),
    'record of the revocation': courses.map(({ revoked, recorded }) => recorded - revoked),
    'record that agents were told to halt': courses.map(({ recorded, halted }) => halted - recorded),
  })
    .map(([step, times]) => ({ step, at: median(times) }))
    .toSorted((a, b) => b.at - a.at);
  const all = median(courses.map(({ halted }) => halted));
  const [slowest] = steps;
  return {
    [`${name}: slowest step`]: ratio(
      (slowest?.at ?? Number.NaN) / all,
      '× of',
      `request to halt: ${slowest?.step}`,
      { detail: steps.map(({ step, at }) => `${(at / all).toFixed(2)}  ${step}`) },
    ),
  };
}
