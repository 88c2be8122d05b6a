import { startWorld, type World } from '../../local/demo/world.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import type { EmergencyAnswer, EmergencyStarted } from '../../shared/api/messages.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { inParallel } from '../support/in-parallel.ts';
import { count, median, ratio, type Figures } from './figures.ts';
import { ledgerOf, registerMany, startKinds, type Made } from './many-credentials.ts';
import { callApi, until, type Tell } from './stage.ts';

const LIMIT_MS = 900_000;
const LOOKS_AT_ONCE = 16;
/** Functions that do something of the emergency. */
const OF_EMERGENCY = /^(revoke|record-emergency|replace)/;

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
export async function emergencyAtScale(wanted: number, tell: Tell): Promise<Figures> {
  const world = await startWorld(tell, {
    types: ['database', 'llm-key', 'vector-database-key'],
    privateUpstreams: ['127.0.0.1'],
  });
  try {
    const [kinds, stop] = await startKinds(world, wanted);
    try {
      tell(`registering ${wanted} credentials`);
      return await measure(world, await registerMany(world, kinds, wanted), tell);
    } finally {
      await stop();
    }
  } finally {
    await world.stop();
  }
}

async function measure(world: World, made: readonly Made[], tell: Tell): Promise<Figures> {
  const workBefore = await working(made);
  if (workBefore !== made.length) throw new Error(`only ${workBefore} of ${made.length} work to begin with`);
  const { recorder } = world.stack.gateway;
  const after = recorder.seq;
  const askedAt = Date.now();
  tell('revoking all in one request');
  const started = await callApi<EmergencyStarted>(world, 'POST', '/v1/emergencies', {
    credentials: made.map(({ credential }) => credential.name),
    incident: 'INC-SCALE',
    reason: 'bench',
    replace: false,
  });
  const [first] = firstCalls(recorder.calls({ after }));
  const answer = await until(
    () => callApi<EmergencyAnswer>(world, 'GET', `/v1/emergencies/${started.id}`),
    ({ status }) => status !== 'RUNNING',
    LIMIT_MS,
    2000,
  );
  tell(`the emergency ended as ${answer.status}; asking the upstreams`);
  const alive = await working(made);
  const courses = await coursesOf(ledgerOf(world), made, askedAt);
  const calls = recorder.calls({ after }).filter(({ function: caller }) => OF_EMERGENCY.test(caller ?? ''));
  return report(made, alive, started, courses, first ?? firstCalls(calls)[0], calls);
}

/** What the functions of the emergency did first. */
function firstCalls(calls: readonly RecordedCall[]): RecordedCall[] {
  return calls
    .filter(({ function: caller }) => OF_EMERGENCY.test(caller ?? ''))
    .toSorted((a, b) => a.at.localeCompare(b.at));
}

/** How many values their upstreams take. */
async function working(made: readonly Made[]): Promise<number> {
  let taken = 0;
  await inParallel(
    made,
    async ({ kind, value }) => {
      if (await kind.takes(value)) taken++;
    },
    LOOKS_AT_ONCE,
  );
  return taken;
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
    .map(([name, taken]) => ({ name, at: median(taken) }))
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

function slowestCalls(calls: readonly RecordedCall[]): string[] {
  const sum = (some: readonly RecordedCall[]): number =>
    some.reduce((total, { durationMs }) => total + durationMs, 0);
  const all = sum(calls);
  const named = Map.groupBy(
    calls,
    ({ function: caller, service, operation }) => `${caller}: ${service} ${operation}`,
  );
  return [...named]
    .map(([name, some]) => ({ name, share: sum(some) / all, times: some.length }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, 6)
    .map(({ name, share, times }) => `${share.toFixed(2)}  ${name}, ${times} times`);
}
