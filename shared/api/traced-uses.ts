import { plusSeconds, type Instant } from '../domain/clock.ts';
import type { Ordinary, TracedUse } from '../domain/forensics/facts.ts';
import { FRESH_SECONDS } from '../domain/readers.ts';
import { addressesOf } from '../domain/seen-addresses.ts';
import { sourceName } from '../domain/use-sources.ts';
import { hasWorked } from '../domain/upstream-use.ts';
import type { ReaderView, ReportedUse, ToldUse, TraceAnswer } from './messages.ts';

/** What reads of a secret, and sessions at its source, are called in a report. */
export const READS = 'reads of the secret (CloudTrail)';
export const SESSIONS = 'sessions at the source';

/** Everything that was told of uses of one credential, in the form in which it is held against exposures. */
export function tracedUses(
  { holders, readers }: Pick<TraceAnswer, 'holders' | 'readers'>,
  { uses, upstream }: { readonly uses: readonly ReportedUse[]; readonly upstream: readonly ToldUse[] },
  now: Instant,
): TracedUse[] {
  return [
    ...uses.filter(isUse).map((use) => useOf(use, holders)),
    ...upstream.map((use) => toldAs(use, { holders, readers })),
    ...readers.filter((reader) => !isToldBy(reader, upstream)).flatMap((reader) => seenAs(reader, now)),
  ];
}

/** Whether each read of a reader is told, so that its first and last say nothing more. */
function isToldBy(reader: ReaderView, upstream: readonly ToldUse[]): boolean {
  const told = upstream.filter(
    ({ keyId, who, version }) => keyId === undefined && who === nameOf(reader) && version === reader.version,
  );
  return told.some(({ from }) => from <= reader.firstSeen) && told.some(({ to }) => to >= reader.lastSeen);
}

/** What was seen of workflows before a moment. */
export function ordinaryOf(
  { holders, readers, seenBefore }: Pick<TraceAnswer, 'holders' | 'readers' | 'seenBefore'>,
  upstream: readonly ToldUse[],
  since: Instant,
): Pick<Ordinary, 'addresses' | 'logins' | 'touched'> {
  // Who is refused was never let in: an attempt makes no address ordinary.
  const before = upstream
    .filter((use) => use.to < since && hasWorked(use) !== false)
    .map((use) => toldAs(use, { holders, readers }));
  const known = [
    ...readers.flatMap((reader) =>
      addressesOf(reader, reader.lastSeen)
        .filter(({ firstSeen }) => firstSeen < since)
        .map(({ address }) => ({ who: nameOf(reader), address, scope: undefined })),
    ),
    ...before.map(({ who, address, scope }) => ({ who, address, scope })),
    ...seenBefore.flatMap(({ who, addresses, scopes }) => [
      ...addresses.map((address) => ({ who, address, scope: undefined })),
      ...scopes.map((scope) => ({ who, address: undefined, scope })),
    ]),
  ];
  const told = (name: 'address' | 'scope'): ReadonlyMap<string, readonly string[]> =>
    new Map(
      [...Map.groupBy(known, ({ who }) => who)].map(([who, same]) => [
        who,
        [...new Set(same.flatMap((each) => each[name] ?? []))],
      ]),
    );
  const logins = [
    ...before.filter((use) => use.isSelfNamed === true).flatMap(({ address }) => address ?? []),
    ...seenBefore.filter((seen) => seen.selfNamed).flatMap(({ addresses }) => addresses),
  ];
  return {
    addresses: told('address'),
    logins: [...new Set(logins)],
    touched: told('scope'),
  };
}

/** Zeros say that an agent was there: they cover its time, and are no use. */
function isUse({ succeeded, refused }: ReportedUse): boolean {
  return succeeded + refused > 0;
}

function useOf(
  { agent, session, version: versionId, succeeded, refused, from, to }: ReportedUse,
  holders: TraceAnswer['holders'],
): TracedUse {
  const isDeclared = holders.some(({ name, kind }) => kind === 'client' && name === agent);
  return {
    source: `reports of ${agent}`,
    who: agent,
    ...(isDeclared ? { declaredAs: agent } : {}),
    of: { kind: 'version', versionId },
    session,
    succeeded,
    refused,
    from,
    to,
  };
}

const LABELS: ReadonlySet<string> = new Set(['AWSCURRENT', 'AWSPENDING', 'AWSPREVIOUS']);

/** Logins of databases are used again; other keys have their id for themselves. */
const LOGINS: ReadonlySet<string> = new Set(['database-log']);

function toldAs(
  { source, keyId, version: versionId, who, ...told }: ToldUse,
  { holders, readers }: Pick<TraceAnswer, 'holders' | 'readers'>,
): TracedUse {
  const reader = keyId === undefined ? readers.find((each) => nameOf(each) === who) : undefined;
  const declaredAs = reader?.declaredAs ?? holders.find(({ name }) => name === who)?.name;
  return {
    source: keyId === undefined ? READS : sourceName(source),
    who,
    ...(declaredAs === undefined ? {} : { declaredAs }),
    ...(reader?.kind === 'account' ? { isForeign: true as const } : {}),
    of:
      keyId !== undefined ? { kind: LOGINS.has(source) ? 'login' : 'key', id: keyId } : ofVersion(versionId),
    ...told,
    ...(LOGINS.has(source) ? { isSelfNamed: true as const } : {}),
  };
}

/** A reader as uses: of a session one for each address from which it came. */
function seenAs(reader: ReaderView, now: Instant): TracedUse[] {
  const { kind, version, declaredAs, firstSeen, lastSeen } = reader;
  const isSession = kind === 'session';
  // Whoever reads often is written down once an hour: it may have read until then.
  const latest = isSession || version !== undefined ? lastSeen : plusSeconds(lastSeen, FRESH_SECONDS);
  const use = {
    source: isSession ? SESSIONS : READS,
    who: nameOf(reader),
    ...(declaredAs === undefined ? {} : { declaredAs }),
    of: ofReader(reader),
    from: firstSeen,
    to: latest > now && lastSeen <= now ? now : latest,
    ...(kind === 'account' ? { isForeign: true as const } : {}),
  };
  const places = addressesOf(reader, lastSeen);
  // What the version before has kept has its first sighting without the address of that.
  if (places.length <= 1) return [{ ...use, ...(places[0] && { address: places[0].address }) }];
  return places.map(({ address, firstSeen: from, lastSeen: to }) => ({ ...use, address, from, to }));
}

function ofReader({ kind, principal, version }: ReaderView): TracedUse['of'] {
  return kind === 'session' ? { kind: 'login', id: principal } : ofVersion(version);
}

function ofVersion(version: string | undefined): TracedUse['of'] {
  if (version === undefined || LABELS.has(version)) return { kind: 'unknown' };
  return { kind: 'version', versionId: version };
}

/** What a reader is called in a report. */
export function nameOf({ name, principal }: Pick<ReaderView, 'name' | 'principal'>): string {
  return name === undefined ? principal : `${name} (${principal})`;
}
