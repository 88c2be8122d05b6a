import { usesQuery, type UsesAnswer } from '../../../shared/api/messages.ts';
import { USES_KEPT_SECONDS } from '../../../shared/domain/agents.ts';
import { plusSeconds, toInstant, type Instant } from '../../../shared/domain/clock.ts';
import { loginPlaceOf, serverOf } from '../../../shared/domain/database-logs/servers.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { parse, type Call } from '../../http/request.ts';
import { familyEver, knownEver } from '../lookup.ts';
import type { ControlServices, Done } from '../route.ts';

/** A page of either kind ends with the minute in which it passes this, well before an answer of Lambda's 6 MB. */
const USES_PER_PAGE = 5000;
const DAY_SECONDS = 86_400;

/** `GET /v1/credentials/{name}/uses`: who used it, and when, as agents have reported and upstreams tell (A3). */
export async function uses(call: Call, services: ControlServices): Promise<Done<UsesAnswer>> {
  const { agents, upstreamUses, clock } = services;
  const now = toInstant(clock());
  const { from, to } = spanOf(call, now);
  const { id, name, server } = await knownWithFamilies(services, call.params[0] ?? '');
  const [reported, told, coverage] = await Promise.all([
    pageOf(agents.useLog(id, from, to), from, to),
    pageOf(upstreamUses.log(id, from, to), from, to),
    upstreamUses.coverage(id, server),
  ]);
  // Both pages end where the shorter one does.
  const [next] = [reported.next, told.next].filter((each) => each !== undefined).toSorted();
  const isInPage = (use: { from: Instant }): boolean => next === undefined || use.from < next;
  const keptSince = plusSeconds(now, -USES_KEPT_SECONDS);
  return {
    status: 200,
    body: {
      credential: name,
      credentialId: id,
      from,
      to,
      keptSince,
      uses: reported.found
        .filter(isInPage)
        .map(({ credentialId: _id, versionId: version, ...use }) => ({ ...use, version })),
      upstream: told.found.filter(isInPage).map(({ credentialId: _id, versionId: version, ...use }) => ({
        ...use,
        ...(version === undefined ? {} : { version }),
      })),
      coverage: coverage
        .filter((each) => each.from < to && each.to > from)
        .map(({ of: _of, ...each }) => each),
      ...(next === undefined ? {} : { next }),
    },
  };
}

function spanOf(call: Call, now: Instant): { from: Instant; to: Instant } {
  const query = parse(usesQuery, call.query);
  const to = query.to === undefined ? now : toInstant(Date.parse(query.to));
  const from = query.from === undefined ? plusSeconds(to, -DAY_SECONDS) : toInstant(Date.parse(query.from));
  if (from > to)
    throw new RekeyError('ERR_REQUEST', 'the span ends before it begins', {
      field: 'from',
      remedy: 'give a `from` not later than `to`',
    });
  return { from, to };
}

/** As much of a log, by minutes, as a page holds. A minute is told whole: from the next one on, another page goes on. */
async function pageOf<T extends { readonly from: Instant }>(
  log: AsyncIterable<T>,
  from: Instant,
  to: Instant,
): Promise<{ found: T[]; next?: Instant }> {
  const found: T[] = [];
  for await (const use of log) {
    const minute = `${minuteOf(use)}:00.000Z`;
    const isNew = minuteOf(use) > minuteOf(found.at(-1) ?? use) && minute > from;
    if (found.length >= USES_PER_PAGE && isNew) return { found, next: minute };
    if (use.from <= to) found.push(use);
  }
  return { found };
}

/** A credential with the server that it logs in to, or a token family, of which agents report nothing: no pact names one. */
async function knownWithFamilies(
  services: ControlServices,
  name: string,
): Promise<{ readonly id: string; readonly name: string; readonly server?: string }> {
  const family = await familyEver(services.families, name);
  if (family !== undefined) return { id: family.id, name: family.name };
  const credential = await knownEver(services.ledger, name);
  const place = loginPlaceOf(credential);
  return {
    id: credential.id,
    name: credential.name,
    ...(place === undefined ? {} : { server: serverOf(place) }),
  };
}

function minuteOf({ from }: { readonly from: Instant }): string {
  return from.slice(0, 16);
}
