import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { agentRole } from '../../local/demo/agent.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import { durationSeconds } from '../../shared/domain/duration.ts';
import type { CredentialDiagnosis } from '../../shared/api/messages.ts';
import { IDENTITY_TYPES } from '../../shared/names.ts';
import type { Trust } from './handshake-load.ts';
import { identitiesOf, type Leading } from './identities-under-load.ts';
import { LongLived } from './long-lived.ts';
import { StoppedFunctions } from './stopped.ts';
import { nameOf, type PlayedUpstream } from './upstreams/played.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_HOURS = 24;

/** Declared for this test alone: certificates as long as they are by default, a database, and a token that nothing replaces. */
const AUTHORITY = 'day-ca';
const DATABASE = 'day-orders';
const HALTED = 'day-halted';

/** Rekey's functions can't be called for a day, in the middle of rotations; everybody's clocks are moved. */
export function testDayWithoutRekey(deployed: () => Leading): void {
  test('Rekey is stopped for a day in the middle of rotations: what fails is what `rekey doctor` has said, from when on it has said', async () => {
    const leading = deployed();
    const { world, vault, upstreams, watched, read, rotate, inWindow, count } = leading;
    const secretOf = async (name: string): Promise<string> =>
      (await vault.send(new GetSecretValueCommand({ SecretId: `agents/${name}` }))).SecretString ?? '';
    const { keys, keysInKms, tokens } = identitiesOf(upstreams);
    const rotating = [keys, keysInKms, tokens];
    const trust = await declared(world);
    const told = await doctor(world);

    const former = await Promise.all(rotating.map(async (one) => read(one)));
    const ids = await Promise.all(rotating.map(async (one) => rotate(one)));
    const begin = async (): Promise<LongLived> => {
      const all = new LongLived(world);
      await all.certified(trust);
      return all;
    };
    await using withDirectory = await begin();
    await using alone = await begin();
    await Promise.all(rotating.map(async (one, at) => inWindow(one, ids[at] ?? '')));
    await using functions = new StoppedFunctions(world);
    await functions.stop('all but the directory');
    expect(functions.count).toBeGreaterThan(20);
    expect((await rekey(['list'], world.env)).status).not.toBe(0);

    const latter = await Promise.all(rotating.map(async (one) => read(one)));
    const isIdentity = ({ entry }: PlayedUpstream): boolean =>
      IDENTITY_TYPES.some((each) => each === entry.type);
    for (const all of [withDirectory, alone]) {
      for (const [which, secrets] of [
        ['the old one', former],
        ['the new one', latter],
      ] as const) {
        const [key = '', kmsKey = '', token = ''] = secrets;
        all.signs(nameOf(keys), 'shop-agents', keys, key, which);
        all.signs(nameOf(keysInKms), 'shop-kms', keysInKms, kmsKey, which);
        all.bears(nameOf(tokens), 'shop-agent', token, which);
      }
      all.bears(HALTED, HALTED, await secretOf(HALTED), 'the revoked one');
      all.logsIn(DATABASE, async () => secretOf(DATABASE));
      for (const one of upstreams) if (!isIdentity(one)) all.shows(nameOf(one), one, async () => read(one));
    }

    // Who has never read the directory knows nobody.
    await alone.failing();
    try {
      const first = await dayOf(withDirectory, told, () => true);
      expect(first.surprises).toEqual([]);
      await endsAsTold(withDirectory, told, nameOf(tokens));
      // The directory as well: who has read it goes on, who asks each time does not.
      vi.useRealTimers();
      await functions.stop('all');
      const second = await dayOf(alone, told, ({ needs }) => needs === undefined);
      expect(second.surprises).toEqual([]);
      const asking = await alone.failing(alone.uses.filter(({ needs }) => needs !== undefined));
      expect([...asking.keys()].toSorted()).toEqual([...rotating.map(nameOf), HALTED].toSorted());

      const least = Math.min(...[first, second].map(({ leavesLastMs }) => leavesLastMs));
      // Certificates count in seconds.
      expect(least).toBeGreaterThan(told.leavesMs - 3000);
      for (const [where, { uses, leavesLastMs }] of [
        ['the directory answers', first],
        ['the directory is stopped too', second],
      ] as const)
        count(
          `Rekey stopped for ${DAY_HOURS} h, ${where}: ${uses} uses, 0 failed that doctor has not named; a certificate that was about ` +
            `to be renewed lasts for ${(leavesLastMs / HOUR_MS).toFixed(1)} h`,
        );
    } finally {
      vi.useRealTimers();
    }
    // It goes on from where it stood.
    await functions[Symbol.asyncDispose]();
    for (const [at, one] of rotating.entries()) {
      expect((await watched.over(nameOf(one), ids[at] ?? '')).phase).toBe('completed');
      expect([await one.takes(former[at] ?? ''), await one.takes(latter[at] ?? '')]).toEqual([false, true]);
    }
  }, 600_000);
}

/** What `rekey doctor` said before Rekey was stopped. */
interface Told {
  /** From when on credentials fail; those that don't are absent. */
  readonly failsAt: ReadonlyMap<string, number>;
  /** For how long certificates last at least if nobody issues. */
  readonly leavesMs: number;
}

async function doctor(world: World): Promise<Told> {
  const { stdout } = await rekey(['doctor', '--stage', 'local', '--json'], world.env);
  const { credentials, stopped } = JSON.parse(stdout) as {
    credentials: { credential: string; outage?: CredentialDiagnosis['outage'] }[];
    stopped: { checks: { detail: string }[] };
  };
  const failsAt = new Map(
    credentials.flatMap(({ credential, outage }) =>
      outage?.failsAt === undefined ? [] : [[credential, Date.parse(outage.failsAt)] as const],
    ),
  );
  // In one line for whoever asks about the next day.
  expect(stopped.checks.map(({ detail }) => detail).join()).toContain(HALTED);
  // Either a time of its own, or in the words of another end.
  const { failsAt: ends, why = '' } =
    credentials.find(({ credential }) => credential === AUTHORITY)?.outage ?? {};
  const [, lasts = `${DAY_HOURS}h`] =
    /certificates of agents last for another (\w+) at least/.exec(why) ?? [];
  const leavesMs = Math.min(durationSeconds(lasts) * 1000, Date.parse(ends ?? '') - Date.now());
  return { failsAt, leavesMs };
}

/** Registers what this test alone needs; whose certificates there are. */
async function declared(world: World): Promise<Trust> {
  const principal = await agentRole(world, 'day');
  const policy = { window: '20s', deadline: '90s', cap: '5m', evidenceOfUse: 'holders' };
  const holders = [{ kind: 'polling', name: 'day-agents', ttl: '2s', principal }];
  const credentials = [
    databaseCredential(world.server, DATABASE, 'orders_app', 'day-order-agents'),
    {
      name: AUTHORITY,
      type: 'certificate-authority',
      provider: 'x509',
      secret: `agents/${AUTHORITY}`,
      target: { name: AUTHORITY, trustDomain: 'day.example' },
      policy,
      holders,
    },
    {
      name: HALTED,
      type: 'agent-token',
      provider: 'opaque',
      secret: `agents/${HALTED}`,
      target: { name: HALTED, agent: 'shop', audience: 'orders', cacheSeconds: 1, clockSkewSeconds: 0 },
      policy,
      holders: [{ kind: 'polling', name: 'day-halted-agents', ttl: '2s' }],
    },
  ];
  const file = join(world.dir, 'day.yaml');
  await writeFile(file, stringify({ version: 1, credentials }));
  await rekeyJson(['apply', '-f', file], world.env);
  const why = ['--incident', 'INC-11', '--reason', 'test', '--no-replace', '--yes', '--wait'];
  await rekeyJson(['revoke', HALTED, ...why], world.env);
  return { credential: AUTHORITY, set: AUTHORITY, principal };
}

/** What a day has shown. */
interface Day {
  /** What fails and nobody was told of, and what works although it was said to fail. */
  readonly surprises: readonly string[];
  readonly uses: number;
  /** For how long a certificate counts from the moment on at which another one was due. */
  readonly leavesLastMs: number;
}

/** Hour by hour, and just before and after the end of the certificate that is in use. */
async function dayOf(
  all: LongLived,
  { failsAt }: Told,
  isAsked: (use: LongLived['uses'][number]) => boolean,
): Promise<Day> {
  const surprises: string[] = [];
  const asked = all.uses.filter(isAsked);
  let uses = 0;
  const { certificateEnds } = all;
  const from = all.time.now();
  const hours = Array.from({ length: DAY_HOURS }, (_, hour) => from + hour * HOUR_MS);
  const moments = [
    ...hours,
    from + DAY_HOURS * HOUR_MS - MINUTE_MS,
    certificateEnds - MINUTE_MS,
    certificateEnds + MINUTE_MS,
  ];
  // A certificate may outlast the day, which a bundle that nobody reads again does not.
  const ofTheDay = moments.filter((now) => now < from + DAY_HOURS * HOUR_MS);
  for (const now of ofTheDay.toSorted((a, b) => a - b)) {
    await all.time.pass((now - all.time.now()) / 1000);
    const users = asked;
    vi.useRealTimers();
    const elsewhere = await all.failing(users.filter(({ byRealClock }) => byRealClock === true));
    // All of this process: `jose` and those who sign go by it.
    vi.useFakeTimers({ toFake: ['Date'], now });
    const here = await all.failing(users.filter(({ byRealClock }) => byRealClock !== true));
    const failing = new Map([...elsewhere, ...here]);
    const at = `after ${((now - from) / HOUR_MS).toFixed(2)} h`;
    for (const name of new Set(users.map(({ credential }) => credential))) {
      const hows = failing.get(name);
      const isTold = (failsAt.get(name) ?? Infinity) <= now;
      if (hows !== undefined && !isTold) surprises.push(`${at} ${name} fails: ${hows.join('; ')}`);
      if (hows === undefined && isTold) surprises.push(`${at} ${name} works, and was said to fail`);
    }
    const refused = await all.shakesHands().then(
      () => '',
      (error: unknown) => String(error),
    );
    if ((refused === '') !== now < certificateEnds) surprises.push(`${at} a handshake: ${refused}`);
    uses += users.length + 1;
  }
  // Renewed at about half of its life, which may come minutes after this day.
  for (let minute = 0; minute < 15 && all.renewalFailedAt === undefined; minute++) await all.time.pass(60);
  return { surprises, uses, leavesLastMs: certificateEnds - (all.renewalFailedAt ?? Infinity) };
}

/** To the minute, with the directory there: taken just before, refused just after. */
async function endsAsTold(all: LongLived, { failsAt }: Told, name: string): Promise<void> {
  all.close();
  const old = all.uses.filter(
    ({ credential, how }) => credential === name && how.startsWith('the old one, verified'),
  );
  const takenAt = async (now: number): Promise<boolean> => {
    await all.time.pass((now - all.time.now()) / 1000);
    return (await all.failing(old)).size === 0;
  };
  const ends = failsAt.get(name) ?? 0;
  expect([old.length, await takenAt(ends - MINUTE_MS), await takenAt(ends + MINUTE_MS)]).toEqual([
    1,
    true,
    false,
  ]);
}
