import type { World } from '../../local/demo/world.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import type { EmergencyStarted } from '../../shared/api/messages.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { inParallel } from '../support/in-parallel.ts';
import { count, median, ratio, type Figures } from './figures.ts';
import { ledgerOf, type Made } from './many-credentials.ts';
import {
  emergencyCalls,
  endOf,
  LOOKS_AT_ONCE,
  revokeAll,
  slowestCalls,
  taken,
  withMany,
} from './many-emergencies.ts';
import type { Tell } from './stage.ts';

/** When each step of one credential's emergency was over, in milliseconds since it was asked for. */
interface Course {
  readonly intended: number;
  readonly revoked: number;
  readonly recorded: number;
  readonly halted: number;
}

/**
 * One request revokes `wanted` credentials of three types on a deployed stack of its own; their upstreams are asked with every value,
 * before and after. Nobody acknowledges anything.
 */
export function emergencyAtScale(wanted: number, tell: Tell): Promise<Figures> {
  return withMany(wanted, tell, (world, made) => measure(world, made, tell));
}

async function measure(world: World, made: readonly Made[], tell: Tell): Promise<Figures> {
  const after = world.stack.gateway.recorder.seq;
  const askedAt = Date.now();
  tell('revoking all in one request');
  const started = await revokeAll(world, made, 'INC-SCALE');
  const [first] = emergencyCalls(world, after);
  const answer = await endOf(world, started);
  tell(`the emergency ended as ${answer.status}; asking the upstreams`);
  const alive = (await taken(made)).length;
  const courses = await coursesOf(ledgerOf(world), made, askedAt);
  const calls = emergencyCalls(world, after);
  return report(made, alive, started, courses, first ?? calls[0], calls);
}

/** By the audit trail; of those whose trail has all of it. */
async function coursesOf(ledger: Ledger, made: readonly Made[], askedAt: number): Promise<Course[]> {
  const courses: Course[] = [];
  await inParallel(
    made,
    async ({ credential }) => {
      const times = new Map<string, number>();
      for await (const { message, time, entity } of ledger.records(credential.id)) {
        times.set(message, time - askedAt);
        const { revocation } = JSON.parse(entity.data.evidence || '{}') as {
          revocation?: { revokedAt: string };
        };
        if (revocation !== undefined) times.set('at upstream', Date.parse(revocation.revokedAt) - askedAt);
      }
      const [intended, revoked, recorded, halted] = [
        times.get('emergency-intended'),
        times.get('at upstream'),
        times.get('emergency-revoked'),
        times.get('agents-halted'),
      ];
      if (intended === undefined || revoked === undefined) return;
      if (recorded === undefined || halted === undefined) return;
      courses.push({ intended, revoked, recorded, halted });
    },
    LOOKS_AT_ONCE,
  );
  return courses;
}

function report(
  made: readonly Made[],
  alive: number,
  started: EmergencyStarted,
  courses: readonly Course[],
  first: RecordedCall | undefined,
  calls: readonly RecordedCall[],
): Figures {
  const types = Map.groupBy(made, ({ kind }) => kind.type);
  const steps = Object.entries({
    'until the turn of its revocation': courses.map(({ intended }) => intended),
    'revocation at the upstream': courses.map(({ intended, revoked }) => Math.max(0, revoked - intended)),
    'record of the revocation': courses.map(({ revoked, recorded }) => recorded - revoked),
    'agents told to halt': courses.map(({ recorded, halted }) => halted - recorded),
  })
    .map(([name, times]) => ({ name, at: median(times) }))
    .toSorted((a, b) => b.at - a.at);
  const all = median(courses.map(({ halted }) => halted));
  const [slowest] = steps;
  const revoked = courses.map((each) => each.revoked).toSorted((a, b) => a - b);
  const p99 = revoked[Math.ceil(0.99 * revoked.length) - 1] ?? Number.NaN;
  const none = { is: 'at most', bound: 0 } as const;
  return {
    'emergency at scale: dead at their upstreams': count(made.length - alive, `of ${made.length}`, {
      goal: { is: 'at least', bound: made.length },
      detail: [...types].map(([type, ones]) => `${type}: ${ones.length}`),
    }),
    'emergency at scale: not looked up in time': count(started.unresolved.length, 'names', { goal: none }),
    'emergency at scale: recorded and halted': count(courses.length, 'credentials', {
      goal: { is: 'at least', bound: made.length },
    }),
    'emergency at scale: first action is no revocation': count(
      first?.function?.startsWith('revoke-') === true ? 0 : 1,
      'actions',
      { goal: none, detail: [`${first?.function ?? 'nobody'}: ${first?.service} ${first?.operation}`] },
    ),
    'emergency at scale: revoked, p99': ratio(p99 / median(revoked), '× of', 'the median'),
    'emergency at scale: slowest step': ratio(
      (slowest?.at ?? Number.NaN) / all,
      '× of',
      `request to halt: ${slowest?.name}`,
      {
        detail: [
          'medians, of the median from request to halt; the local stack runs 24 functions of machines at once, others wait:',
          ...steps.map(({ name, at }) => `${(at / all).toFixed(2)}  ${name}`),
          'AWS calls of its functions by the time they take together, of all of them:',
          ...slowestCalls(calls),
        ],
      },
    ),
  };
}
