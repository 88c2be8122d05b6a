import { plusSeconds, toInstant, type Instant } from '../domain/clock.ts';
import { capabilitiesOf } from '../domain/capabilities.ts';
import type { Credential } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import type { Interval } from '../domain/forensics/facts.ts';
import { idsIn } from '../domain/forensics/trail.ts';
import type { Metering } from '../domain/metering.ts';
import type { UpstreamSource, UpstreamUse } from '../domain/upstream-use.ts';
import type { UpstreamUses } from '../ports/upstream-uses.ts';
import type { EngineDeps } from './deps.ts';
import { eachOf } from './each.ts';
import { upstream } from './state.ts';

/** What collecting works with. */
export type UsageDeps = EngineDeps & {
  readonly upstreamUses: Pick<UpstreamUses, 'keep' | 'cover' | 'coverage'>;
  /** Numbers from 0 to 1. */
  readonly random: () => number;
};

/** What came of one credential. */
export interface Collected {
  readonly credential: string;
  /** How many uses were news. */
  readonly uses: number;
  /** Since when nothing is told, but not before it was first asked. Absent where the ledger was not asked, or did not answer. */
  readonly untoldSince?: Instant;
  /** Why it went no further: a code, or `later` where the time is up or its login has failed for others. */
  readonly stopped?: string;
}

export const SOURCE: UpstreamSource = 'provider-usage';

const LATER = 'later';
/** One reading is about so much: a page of each count. */
const SPAN_SECONDS = 6 * 3600;
/** A credential that nobody has asked about yet is asked about so far back. */
const FIRST_SECONDS = 7 * 86_400;
/** Nothing older is kept. */
const KEPT_SECONDS = 35 * 86_400;
/** A source that is silent for so long needs a person. */
const UNTOLD_SECONDS = 86_400;
/** So many logins at once. One after another under the same: it has one limit of calls, which revocations need too. */
const LOGINS_AT_ONCE = 4;
/** After so many failures one after another a login is left alone until the next run: its limit of calls may be used up. */
const FAILURES = 3;
/** So long after the time is up it is still looked up of those that are put off since when nothing is told. */
const LOOKING_MS = 60_000;
/** So many records are read at first, which is dozens of rotations. */
const RECORDS = 200;

/**
 * Asks every upstream that tells by the key how the credentials of a type were used since it was last asked, until the time is up.
 * Uses are kept before the time counts as told: whoever dies in between asks again, and what comes twice is the same. Their order
 * is by chance, so that none that fails or takes long is always before the others.
 */
export async function collectUsage(deps: UsageDeps, type: string, until: number): Promise<Collected[]> {
  const remembering = { ...deps, readAdmin: remembered(deps.readAdmin) };
  const asked = shuffled(await metered(deps, type), deps.random);
  const logins = [...Map.groupBy(asked, ({ adminSecret, provider }) => adminSecret ?? provider).values()];
  const answers = await eachOf(logins, LOGINS_AT_ONCE, async (group) =>
    collectFor(remembering, group, until),
  );
  return answers.flat();
}

/** The credentials of a type whose upstream tells of uses, and may be asked. */
async function metered(deps: UsageDeps, type: string): Promise<Credential[]> {
  const found: Credential[] = [];
  for (let page: string | undefined, isFirst = true; isFirst || page !== undefined; isFirst = false) {
    const { items, next } = await deps.ledger.list(page);
    found.push(...items.filter((each) => each.type === type && isMetered(each)));
    page = next;
  }
  return found;
}

function isMetered({ type, provider, adminSecret, status }: Credential): boolean {
  const facts = capabilitiesOf(type, provider);
  if (facts?.metering === undefined || status === 'registering') return false;
  return adminSecret !== undefined || facts.needsAdmin === false;
}

/** Those of one login, until it has failed too often. A ledger that is silent about one is asked about none of the others. */
async function collectFor(
  deps: UsageDeps,
  credentials: readonly Credential[],
  until: number,
): Promise<Collected[]> {
  const answers: Collected[] = [];
  let failures = 0;
  let looks = true;
  for (const credential of credentials) {
    if (failures >= FAILURES || deps.clock() >= until) {
      looks &&= deps.clock() < until + LOOKING_MS;
      const answer = await postponed(deps, credential, looks);
      looks = answer.untoldSince !== undefined;
      answers.push(answer);
      continue;
    }
    const answer = await collect(deps, credential, until);
    failures = answer.stopped === undefined ? 0 : failures + 1;
    answers.push(answer);
  }
  return answers;
}

/** Of one that is put off in each run nothing would ever be told: a person has to hear of that as well. */
async function postponed(deps: UsageDeps, { id, name }: Credential, looks: boolean): Promise<Collected> {
  const answer = { credential: name, uses: 0, stopped: LATER };
  const known = looks ? await owed(deps, id).catch(() => undefined) : undefined;
  return known === undefined ? answer : { ...answer, untoldSince: known.since };
}

async function collect(deps: UsageDeps, credential: Credential, until: number): Promise<Collected> {
  const { name, id } = credential;
  let uses = 0;
  let untoldSince: Instant | undefined;
  const told = (stopped?: string): Collected => ({
    credential: name,
    uses,
    ...(untoldSince === undefined ? {} : { untoldSince }),
    ...(stopped === undefined ? {} : { stopped }),
  });
  try {
    const { toldUntil, since } = await owed(deps, id);
    untoldSince = since;
    const { provider, target, ctx } = await upstream(deps, credential);
    if (provider.meter === undefined) return told();
    const now = toInstant(deps.clock());
    const from = startOf(credential, toldUntil, now);
    const keyIds = await keysSince(deps, credential, from);
    for (const span of spans(from, now)) {
      if (deps.clock() >= until) return told(LATER);
      const metering = await provider.meter(target, keyIds, span, ctx);
      uses += await deps.upstreamUses.keep(usesOf(credential, metering));
      await deps.upstreamUses.cover(SOURCE, id, metering.covers);
      untoldSince = latest([untoldSince, ...metering.covers.map(({ to }) => to)]);
    }
    // That covers no time: when it was answered last is all there is to keep.
    if (tellsLastUse(credential)) untoldSince = await mark(deps, id);
    return told();
  } catch (error) {
    // Whatever it is: the others are asked all the same.
    return told(isRekeyError(error) ? error.code : 'ERR_INTERNAL');
  }
}

/**
 * Until when everything of a credential is told already, and since when nothing is: not before the first attempt, which is after
 * its registration, although what is told at first may be of days before that.
 */
async function owed(
  deps: UsageDeps,
  credentialId: string,
): Promise<{ readonly toldUntil: Instant | undefined; readonly since: Instant }> {
  const [toldUntil, asked] = await Promise.all(
    [credentialId, markOf(credentialId)].map(async (of) => {
      const covered = await deps.upstreamUses.coverage(of);
      return latest(covered.filter(({ source }) => source === SOURCE).map(({ to }) => to));
    }),
  );
  return { toldUntil, since: latest([toldUntil, asked]) ?? (await mark(deps, credentialId)) };
}

/** Marks that nothing is owed from before now. It stands beside what is told, is kept as long, and claims none of it. */
async function mark({ upstreamUses, clock }: UsageDeps, credentialId: string): Promise<Instant> {
  const now = clock();
  const to = toInstant(now);
  await upstreamUses.cover(SOURCE, markOf(credentialId), [{ from: toInstant(now - 1), to }]);
  return to;
}

function latest(times: readonly (Instant | undefined)[]): Instant | undefined {
  return times
    .filter((each) => each !== undefined)
    .toSorted()
    .at(-1);
}

function markOf(credentialId: string): string {
  return `asked:${credentialId}`;
}

/** What is told may still grow until it counts as told: from there it is asked again. */
function startOf(credential: Credential, toldUntil: Instant | undefined, now: Instant): Instant {
  if (tellsLastUse(credential)) return plusSeconds(now, -SPAN_SECONDS);
  const { registeredAt } = credential;
  const first = plusSeconds(now, -FIRST_SECONDS);
  const start = toldUntil ?? (registeredAt > first ? registeredAt : first);
  const oldest = plusSeconds(now, -KEPT_SECONDS);
  return start > oldest ? start : oldest;
}

function tellsLastUse({ type, provider }: Credential): boolean {
  return capabilitiesOf(type, provider)?.metering?.tells === 'the last use';
}

function spans(from: Instant, to: Instant): Interval[] {
  const found: Interval[] = [];
  for (let start = from; start < to; start = plusSeconds(start, SPAN_SECONDS)) {
    const end = plusSeconds(start, SPAN_SECONDS);
    found.push({ from: start, to: end < to ? end : to });
  }
  return found;
}

/** Ids of every key that has lived since then: those that live, and what the records name. */
async function keysSince(
  { ledger }: UsageDeps,
  { id, seq, current, live }: Credential,
  since: Instant,
): Promise<string[]> {
  const ids = new Set([...live, ...(current === undefined ? [] : [current.handle])].map((each) => each.id));
  for (let back = RECORDS; ; back *= 4) {
    const fromSeq = Math.max(1, seq - back);
    let first: Instant | undefined;
    for await (const record of ledger.records(id, fromSeq)) {
      first ??= record.time_dt;
      for (const each of idsIn(record)) ids.add(each);
    }
    if (fromSeq === 1 || first === undefined || first <= since) return [...ids];
  }
}

function usesOf({ id: credentialId }: Credential, { who, uses }: Metering): UpstreamUse[] {
  return uses.map(({ keyId, from, to, requests, scope }) => ({
    credentialId,
    source: SOURCE,
    keyId,
    who,
    ...(scope === undefined ? {} : { scope }),
    from,
    // Its last instant, where it counts a time.
    to: to > from ? toInstant(Date.parse(to) - 1) : to,
    // What it refuses it does not count.
    ...(requests === undefined ? {} : { succeeded: requests }),
  }));
}

/**
 * Those of which nothing has been told for a day, since they were asked in vain or put off: a person has to look. The day never
 * begins before the first attempt: the first run of a deployment with many keys puts most of them off. Where an upstream covers no
 * time it begins with the last answer.
 */
export function untold(answers: readonly Collected[], now: number): Collected[] {
  const limit = toInstant(now - UNTOLD_SECONDS * 1000);
  return answers.filter(
    ({ stopped, untoldSince }) => stopped !== undefined && untoldSince !== undefined && untoldSince < limit,
  );
}

/** Each administrative secret is read once in a run. */
function remembered(read: EngineDeps['readAdmin']): EngineDeps['readAdmin'] {
  const known = new Map<string, ReturnType<EngineDeps['readAdmin']>>();
  return async (adminSecret) => {
    const reading = known.get(adminSecret) ?? read(adminSecret);
    known.set(adminSecret, reading);
    return reading;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
