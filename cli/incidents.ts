import {
  auditAnswer,
  listAnswer,
  traceAnswer,
  usesAnswer,
  type AuditEvent,
  type CredentialView,
  type FamilyView,
  type ReportedUse,
  type ToldUse,
  type TraceAnswer,
  type UsesAnswer,
} from '../shared/api/messages.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from './client.ts';
import { Failure } from './failure.ts';
import { readFamilies } from './families.ts';

/** A credential of an incident, as far as its head and the records of the last year name it. */
export interface Concerned {
  readonly id: string;
  readonly name: string;
  /** Its head, where an emergency holds it now. */
  readonly head?: CredentialView;
  /** It is a token family. */
  readonly family?: FamilyView;
}

/** Every registered credential. */
export async function readHeads(client: ApiClient): Promise<CredentialView[]> {
  const all: CredentialView[] = [];
  let page: string | undefined;
  do {
    const answer = await client.get(listAnswer, ['credentials'], { query: { page } });
    all.push(...answer.credentials);
    page = answer.next;
  } while (page !== undefined);
  return all;
}

/** What the records of the last year tell of incidents. */
export async function readIncidentEvents(client: ApiClient): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let span: { from?: string; to?: string } = {};
  let page: string | undefined;
  do {
    const answer = await client.get(auditAnswer, ['audit'], {
      query: { ...span, page },
      timeoutMs: LONG_TIMEOUT_MS,
    });
    // The first answer says which span the default is: the others must be about the same one.
    span = { from: answer.from, to: answer.to };
    events.push(...(answer.events ?? []).filter(({ incident }) => incident !== ''));
    page = answer.next;
  } while (page !== undefined);
  return events;
}

/** All that is registered. */
export interface Registered {
  readonly heads: readonly CredentialView[];
  readonly families: readonly FamilyView[];
}

export async function readRegistered(client: ApiClient): Promise<Registered> {
  const [heads, families] = await Promise.all([readHeads(client), readFamilies(client)]);
  return { heads, families };
}

/** What an emergency of the incident holds now. */
export function heldBy(incident: string, { heads, families }: Registered): Concerned[] {
  return [
    ...heads.flatMap((head) =>
      head.emergency?.incident === incident ? [{ id: head.id, name: head.name, head }] : [],
    ),
    ...families.flatMap((family) =>
      family.incident?.id === incident ? [{ id: family.id, name: family.name, family }] : [],
    ),
  ];
}

/** What records name with the incident, also where its part in it has ended. */
export function recordedIn(
  incident: string,
  events: readonly AuditEvent[],
  { families }: Registered,
): Concerned[] {
  const familyById = new Map(families.map((family) => [family.id, family]));
  return events
    .filter((event) => event.incident === incident)
    .map(({ credentialId: id, credential: name }) => {
      const family = familyById.get(id);
      return { id, name, ...(family === undefined ? {} : { family }) };
    });
}

/** Each once, by name; what comes later in the list is newer. */
export function eachOnce(all: readonly Concerned[]): Concerned[] {
  const found = new Map(all.map((one) => [one.id, one]));
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The credentials of an incident, by name. Reads the records of a year.
 * @throws Failure ERR_NOT_FOUND where nothing tells of it
 */
export async function concernedBy(client: ApiClient, incident: string): Promise<Concerned[]> {
  const [registered, events] = await Promise.all([readRegistered(client), readIncidentEvents(client)]);
  const found = eachOnce([...recordedIn(incident, events, registered), ...heldBy(incident, registered)]);
  if (found.length > 0) return found;
  throw new Failure('ERR_NOT_FOUND', `nothing of the last year tells of an incident "${incident}"`, {
    field: 'incident',
    remedy: '`rekey incident list` names the incidents that there are',
  });
}

/** What is known of one credential in an incident. */
export function readTrace(client: ApiClient, id: string, incident: string): Promise<TraceAnswer> {
  return client.get(traceAnswer, ['credentials', id, 'incidents', incident], { timeoutMs: LONG_TIMEOUT_MS });
}

/** All uses of a credential that agents have reported and upstreams tell of for a time, each once. */
export async function readUses(
  client: ApiClient,
  credential: string,
  span: { readonly from?: string | undefined; readonly to?: string | undefined },
): Promise<UsesAnswer> {
  const uses = new Map<string, ReportedUse>();
  const upstream = new Map<string, ToldUse>();
  let answer: UsesAnswer | undefined;
  let from = span.from;
  let to = span.to;
  do {
    const page: UsesAnswer = await client.get(usesAnswer, ['credentials', credential, 'uses'], {
      query: { from, to },
      timeoutMs: LONG_TIMEOUT_MS,
    });
    for (const use of page.uses) uses.set(`${use.session} ${use.version} ${use.from}`, use);
    for (const use of page.upstream) upstream.set(toldKey(use), use);
    answer ??= page;
    ({ next: from } = page);
    ({ to } = page);
  } while (from !== undefined);
  const { next: _next, ...whole } = answer;
  return { ...whole, uses: [...uses.values()], upstream: [...upstream.values()] };
}

/** The same where a later page tells of the same minute again, which may have grown. */
function toldKey({ source, keyId, version, who, address, scope, outcome, from }: ToldUse): string {
  return JSON.stringify([source, keyId, version, who, address, scope, outcome, from.slice(0, 16)]);
}
