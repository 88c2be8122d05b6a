import { createHash } from 'node:crypto';
import {
  placeOf,
  type Acknowledgement,
  type Pact,
  type Session,
  type Stray,
  type UseReport,
} from '../domain/agents.ts';
import type { Suspicion } from '../domain/anomalies/suspicion.ts';
import { isRoutine, type AuditRecord } from '../domain/audit.ts';
import type { Claim } from '../domain/claim.ts';
import { nextLook } from '../domain/calendar.ts';
import { fromInstant, plusSeconds, type Instant } from '../domain/clock.ts';
import type { Credential, Key } from '../domain/credential.ts';
import type { Family } from '../domain/families.ts';
import { knownUntil, type KnownToken } from '../domain/family-leak.ts';
import { nextFamilyLook } from '../domain/family-refresh.ts';
import type { KnownKey } from '../domain/leak.ts';
import type { SeenReader } from '../domain/readers.ts';
import { isOver, type Rotation } from '../domain/rotation.ts';
import type { HeldSignal } from '../domain/signals/held.ts';
import { REMEMBERED_SECONDS } from '../domain/signals/signal.ts';
import type { TakenSignal, ToldSuspicions } from '../domain/signals/taken.ts';
import { TABLE } from '../names.ts';

/** A DynamoDB item as the wire has it. */
export type Item = Record<string, { S: string } | { N: string }>;

/** So many versions of a pact stay: an agent that registers without end fills no table. */
const PACT_VERSIONS_KEPT = 1000;

const s = (value: string): { S: string } => ({ S: value });
const n = (value: number): { N: string } => ({ N: String(value) });

/**
 * Keys of the one table. Documents are kept as JSON text beside their keys, so that an audit record is stored byte
 * for byte as it was hashed (docs/adr/004).
 */
export const keys = {
  credential: (tenant: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#C#${id}`),
    [TABLE.sk]: s('HEAD'),
  }),
  rotation: (tenant: string, credentialId: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#C#${credentialId}`),
    [TABLE.sk]: s(`ROT#${id}`),
  }),
  record: (tenant: string, credentialId: string, seq: number): Item => ({
    [TABLE.pk]: s(`${tenant}#C#${credentialId}`),
    [TABLE.sk]: s(recordSk(seq)),
  }),
  calendar: (tenant: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#C#${id}`),
    [TABLE.sk]: s('DUE'),
  }),
  name: (tenant: string, name: string): Item => ({
    [TABLE.pk]: s(`${tenant}#NAME#${name}`),
    [TABLE.sk]: s('LOCK'),
  }),
  secret: (tenant: string, secretName: string): Item => ({
    [TABLE.pk]: s(`${tenant}#SECRET#${secretName}`),
    [TABLE.sk]: s('LOCK'),
  }),
  target: (tenant: string, identity: string): Item => ({
    [TABLE.pk]: s(`${tenant}#TARGET#${identity}`),
    [TABLE.sk]: s('LOCK'),
  }),
  /** Not below a credential's key: who refreshes families may write nothing else. */
  family: (tenant: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#F#${id}`),
    [TABLE.sk]: s('FAMILY'),
  }),
  familyLook: (tenant: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#F#${id}`),
    [TABLE.sk]: s('DUE'),
  }),
  familyRecord: (tenant: string, id: string, seq: number): Item => ({
    [TABLE.pk]: s(`${tenant}#F#${id}`),
    [TABLE.sk]: s(recordSk(seq)),
  }),
  /** Below what belongs to families: who refreshes them writes it. */
  familyToken: (tenant: string, fingerprint: string, familyId: string): Item => ({
    [TABLE.pk]: s(`${tenant}#F#FP#${fingerprint}`),
    [TABLE.sk]: s(familyId),
  }),
  turn: (tenant: string, place: number): Item => ({
    [TABLE.pk]: s(`${tenant}#TURN#${place}`),
    [TABLE.sk]: s('TURN'),
  }),
  /** Not below a credential's key: who writes readers may write nothing else (docs/adr/020). */
  reader: (tenant: string, secretName: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#READER#${secretName}`),
    [TABLE.sk]: s(id),
  }),
  /** Not below a credential's key either: who digests what others do may write nothing else. */
  baseline: (tenant: string, secretName: string, reader?: string): Item => ({
    [TABLE.pk]: s(`${tenant}#BASELINE#${secretName}`),
    [TABLE.sk]: s(reader === undefined ? 'SECRET' : `READER#${reader}`),
  }),
  suspicion: (tenant: string, secretName: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#BASELINE#${secretName}`),
    [TABLE.sk]: s(`SUSPICION#${id}`),
  }),
  /** No secret has this name. */
  usesJudged: (tenant: string): Item => ({
    [TABLE.pk]: s(`${tenant}#BASELINE# USES`),
    [TABLE.sk]: s('JUDGED'),
  }),
  /** Not among what agents report of their own: nobody's proof counts it. */
  stray: (tenant: string, { credentialId, agent }: Pick<Stray, 'credentialId' | 'agent'>): Item => ({
    [TABLE.pk]: s(`${tenant}#STRAY#${credentialId}`),
    [TABLE.sk]: s(agent),
  }),
  fingerprint: (tenant: string, fingerprint: string, credentialId: string): Item => ({
    [TABLE.pk]: s(`${tenant}#FP#${fingerprint}`),
    [TABLE.sk]: s(credentialId),
  }),
  claim: (tenant: string, fingerprint: string): Item => ({
    [TABLE.pk]: s(`${tenant}#POOL#${fingerprint}`),
    [TABLE.sk]: s('CLAIM'),
  }),
  /** What agents say stands below keys of its own: the agent API may write nothing else. */
  pact: (tenant: string, agent: string, version?: number): Item => ({
    [TABLE.pk]: s(`${tenant}#PACT#${agent}`),
    [TABLE.sk]: s(
      version === undefined ? 'NEWEST' : `V#${String(version % PACT_VERSIONS_KEPT).padStart(3, '0')}`,
    ),
  }),
  session: (tenant: string, agent: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#AGENT#${agent}`),
    [TABLE.sk]: s(`SESSION#${placeOf(id)}`),
  }),
  challenge: (tenant: string, session: string, rotation: string): Item => ({
    [TABLE.pk]: s(`${tenant}#ACK#CHALLENGE#${session}`),
    [TABLE.sk]: s(rotation),
  }),
  acknowledgement: (tenant: string, { rotation, opensAt }: WindowOf, session: string): Item => ({
    [TABLE.pk]: s(`${tenant}#ACK#${rotation}#${opensAt}`),
    [TABLE.sk]: s(session),
  }),
  use: (tenant: string, credentialId: string, minute: string, of: string): Item => ({
    [TABLE.pk]: s(`${tenant}#USE#${credentialId}`),
    [TABLE.sk]: s(`${minute}#${of}`),
  }),
  /** Not below a credential's key, nor among what agents report: who tells of uses at upstreams may write nothing else. */
  upstreamUse: (tenant: string, credentialId: string, bucket: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#UPSTREAM#${credentialId}`),
    [TABLE.sk]: s(`${bucket}#${id}`),
  }),
  useCoverage: (tenant: string, of: string, source: string, day: string): Item => ({
    [TABLE.pk]: s(`${tenant}#COVERED#${of}`),
    [TABLE.sk]: s(`${source}#${day}`),
  }),
  /** Not below a credential's key: who counts signals may change nothing else. */
  seenSignal: (tenant: string, source: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#SIGNAL#${source}#${id}`),
    [TABLE.sk]: s('SEEN'),
  }),
  toldSuspicions: (tenant: string, credentialId: string): Item => ({
    [TABLE.pk]: s(`${tenant}#SIGNAL#TOLD#${credentialId}`),
    [TABLE.sk]: s('TOLD'),
  }),
  signalBudget: (tenant: string, budget: string, hour: string): Item => ({
    [TABLE.pk]: s(`${tenant}#SIGNAL#${budget}`),
    [TABLE.sk]: s(`HOUR#${hour}`),
  }),
  held: (tenant: string, id: string): Item => ({
    [TABLE.pk]: s(`${tenant}#HELD#${id}`),
    [TABLE.sk]: s('HELD'),
  }),
  heartbeat: (tenant: string, functionName: string): Item => ({
    [TABLE.pk]: s(`${tenant}#BEAT#${functionName}`),
    [TABLE.sk]: s('BEAT'),
  }),
};

type WindowOf = Pick<Acknowledgement, 'rotation' | 'opensAt'>;

/** Groups of the sparse index. */
export const groups = {
  credentials: (tenant: string): string => `${tenant}#CREDENTIALS`,
  pacts: (tenant: string): string => `${tenant}#PACTS`,
  families: (tenant: string): string => `${tenant}#FAMILIES`,
  dueFamilies: (tenant: string): string => `${tenant}#FAMILIES-DUE`,
  due: (tenant: string, shard: number): string => `${tenant}#DUE#${shard}`,
  unfinished: (tenant: string): string => `${tenant}#UNFINISHED`,
  rotations: (tenant: string, credentialId: string): string => `${tenant}#C#${credentialId}#ROTATIONS`,
  held: (tenant: string): string => `${tenant}#HELD`,
  strays: (tenant: string): string => `${tenant}#STRAYS`,
  suspicions: (tenant: string): string => `${tenant}#SUSPICIONS`,
  month: (tenant: string, month: string): string => `${tenant}#AUDIT#${month}`,
  familyMonth: (tenant: string, month: string): string => `${tenant}#FAMILY-AUDIT#${month}`,
};

/** Groups over which the calendar is spread, so that no one partition of the index takes all of its writes. */
export const CALENDAR_SHARDS = 16;

/** Places at which agents take turns: few enough for one transaction, whatever the number of agents. */
const TURN_PLACES = 16;

function shardOf(word: string, shards: number): number {
  return (createHash('sha256').update(word).digest()[0] ?? 0) % shards;
}

/** The place at which an agent takes turns, beside others. */
export function turnPlaceOf(agent: string): number {
  return shardOf(agent, TURN_PLACES);
}

/** Sort key of an audit record; fixed width, so that text order is number order. */
export function recordSk(seq: number): string {
  return `AUD#${String(seq).padStart(12, '0')}`;
}

/** Name of a secret from its ARN, which ends in `-` and six random characters; a name passes through. */
export function secretNameOf(secret: string): string {
  const match = /^arn:[^:]+:secretsmanager:[^:]*:\d+:secret:(.+)-[A-Za-z0-9]{6}$/.exec(secret);
  return match?.[1] ?? secret;
}

export function credentialItem(credential: Credential): Item {
  return {
    ...keys.credential(credential.tenant, credential.id),
    kind: s('credential'),
    version: n(credential.version),
    epoch: n(credential.epoch),
    ...(credential.status === 'unregistered'
      ? {}
      : {
          [TABLE.indexPk]: s(groups.credentials(credential.tenant)),
          [TABLE.indexSk]: s(credential.name),
        }),
    doc: s(JSON.stringify(credential)),
  };
}

/**
 * A credential's place in the calendar: in the index by the instant at which the planner looks at it, and not in the index
 * where nothing is to come. Written with every head, which it follows from.
 */
export function calendarItem(credential: Credential): Item {
  const at = nextLook(credential);
  return {
    ...keys.calendar(credential.tenant, credential.id),
    kind: s('calendar'),
    credentialId: s(credential.id),
    ...(at === undefined
      ? {}
      : {
          [TABLE.indexPk]: s(groups.due(credential.tenant, shardOf(credential.id, CALENDAR_SHARDS))),
          [TABLE.indexSk]: s(at),
        }),
  };
}

/** An unfinished rotation stands in the index by the time at which the reconciler looks at it. */
export function rotationItem(tenant: string, rotation: Rotation): Item {
  const over = isOver(rotation.phase);
  return {
    ...keys.rotation(tenant, rotation.credentialId, rotation.id),
    kind: s('rotation'),
    [TABLE.indexPk]: s(over ? groups.rotations(tenant, rotation.credentialId) : groups.unfinished(tenant)),
    [TABLE.indexSk]: s(over ? rotation.startedAt : rotation.checkAt),
    doc: s(JSON.stringify(rotation)),
  };
}

export function recordItem(record: AuditRecord): Item {
  const { tenant_uid: tenant, sequence } = record.metadata;
  return {
    ...keys.record(tenant, record.entity.uid, sequence),
    kind: s('audit'),
    [TABLE.indexPk]: s(groups.month(tenant, record.time_dt.slice(0, 7))),
    [TABLE.indexSk]: s(`${record.time_dt}#${record.entity.uid}#${recordSk(sequence)}`),
    doc: s(JSON.stringify(record)),
  };
}

/** The head of a token family; in the index by its name. */
export function familyItem(family: Family): Item {
  return {
    ...keys.family(family.tenant, family.id),
    kind: s('family'),
    version: n(family.version),
    ...(family.status === 'unregistered'
      ? {}
      : { [TABLE.indexPk]: s(groups.families(family.tenant)), [TABLE.indexSk]: s(family.name) }),
    doc: s(JSON.stringify(family)),
  };
}

/** When the coordinator looks at a family, beside its head as the calendar has it for credentials. */
export function familyLookItem(family: Family): Item {
  const at = nextFamilyLook(family);
  return {
    ...keys.familyLook(family.tenant, family.id),
    kind: s('calendar'),
    familyId: s(family.id),
    ...(at === undefined
      ? {}
      : { [TABLE.indexPk]: s(groups.dueFamilies(family.tenant)), [TABLE.indexSk]: s(at) }),
  };
}

/**
 * A record of a family. What a family does by the clock is in no index: that is dozens of records a day, and the months of
 * all families together are read as a whole.
 */
export function familyRecordItem(record: AuditRecord): Item {
  const { tenant_uid: tenant, sequence } = record.metadata;
  return {
    ...keys.familyRecord(tenant, record.entity.uid, sequence),
    kind: s('audit'),
    ...(isRoutine(record)
      ? {}
      : {
          [TABLE.indexPk]: s(groups.familyMonth(tenant, record.time_dt.slice(0, 7))),
          [TABLE.indexSk]: s(`${record.time_dt}#${record.entity.uid}#${recordSk(sequence)}`),
        }),
    doc: s(JSON.stringify(record)),
  };
}

/** A token by its fingerprint; DynamoDB forgets it once it is found no more. */
export function familyTokenItem(tenant: string, token: KnownToken): Item {
  return {
    ...keys.familyToken(tenant, token.fingerprint, token.familyId),
    kind: s('token'),
    [TABLE.expires]: n(expiry(knownUntil(token))),
    doc: s(JSON.stringify(token)),
  };
}

/** A reservation of a name or a secret by a family: whoever looks for a credential finds none there. */
export function familyLockItem(key: Item, familyId: string): Item {
  return { ...key, kind: s('lock'), familyId: s(familyId) };
}

/**
 * A key by its fingerprint. It stays when the key is dead, and for good: a value may be found years later. Where a
 * credential gets the same value again (what was observed is adopted), its newest handle counts.
 */
export function keyItem({ tenant, id }: Credential, key: Key): Item {
  const known: KnownKey = { ...key, credentialId: id };
  return {
    ...keys.fingerprint(tenant, key.fingerprint, id),
    kind: s('key'),
    doc: s(JSON.stringify(known)),
  };
}

/** Who has taken a key from a pool. One that is given back stays, and says that it counts no more. */
export function claimItem(tenant: string, claim: Claim, isFree = false): Item {
  return {
    ...keys.claim(tenant, claim.fingerprint),
    kind: s('claim'),
    credentialId: s(claim.credentialId),
    heldUnder: s(claim.token),
    ...(isFree ? { givenBack: s('yes') } : {}),
    doc: s(JSON.stringify(claim)),
  };
}

/** A reservation of a name, a secret or a target's users. */
export function lockItem(key: Item, credentialId: string): Item {
  return { ...key, kind: s('lock'), credentialId: s(credentialId) };
}

/** A place with the number of starts that have taken it; nobody holds it, so that nothing has to give it back. */
export function turnItem(tenant: string, place: number, taken: number): Item {
  return { ...keys.turn(tenant, place), kind: s('turn'), version: n(taken) };
}

/** Somebody who was seen to read a secret; DynamoDB deletes it after `expires`, in seconds since 1970. */
export function readerItem(key: Item, reader: SeenReader, expires: number): Item {
  return {
    ...key,
    kind: s('reader'),
    lastSeen: s(reader.lastSeen),
    [TABLE.expires]: n(expires),
    doc: s(JSON.stringify(reader)),
  };
}

/** What an upstream tells of a bucket of time, or of which times of a day it has told. */
export function upstreamItem(key: Item, told: object, expires: number): Item {
  return { ...key, kind: s('upstream'), [TABLE.expires]: n(expires), doc: s(JSON.stringify(told)) };
}

/** What is usual, kept for as long as it counts. */
export function baselineItem(key: Item, baseline: object, version: number, expires: number): Item {
  return {
    ...key,
    kind: s('baseline'),
    version: n(version),
    [TABLE.expires]: n(expires),
    doc: s(JSON.stringify(baseline)),
  };
}

/** How far reports of uses were judged. */
export function progressItem(tenant: string, progress: object): Item {
  return { ...keys.usesJudged(tenant), kind: s('progress'), doc: s(JSON.stringify(progress)) };
}

/** Uses of a credential that an agent has no part in; in the index by when it was told first within the hour. */
export function strayItem(tenant: string, stray: Stray, expires: number): Item {
  return {
    ...keys.stray(tenant, stray),
    kind: s('stray'),
    [TABLE.indexPk]: s(groups.strays(tenant)),
    [TABLE.indexSk]: s(stray.at),
    [TABLE.expires]: n(expires),
    doc: s(JSON.stringify(stray)),
  };
}

/** Something unusual; in the index while it waits to be weighed, and kept for as long as it isn't told again. */
export function suspicionItem(tenant: string, suspicion: Suspicion, expires: number, waits: boolean): Item {
  return {
    ...keys.suspicion(tenant, suspicion.secret, suspicion.id),
    kind: s('suspicion'),
    ...(waits
      ? {
          [TABLE.indexPk]: s(groups.suspicions(tenant)),
          [TABLE.indexSk]: s(`${suspicion.at}#${suspicion.id}`),
        }
      : {}),
    [TABLE.expires]: n(expires),
    doc: s(JSON.stringify(suspicion)),
  };
}

/** The newest version of a pact, in the index by its agent; and the same version as it stays. */
export function pactItems(tenant: string, pact: Pact): readonly [newest: Item, version: Item] {
  const item = { kind: s('pact'), version: n(pact.version), doc: s(JSON.stringify(pact)) };
  return [
    {
      ...keys.pact(tenant, pact.agent),
      [TABLE.indexPk]: s(groups.pacts(tenant)),
      [TABLE.indexSk]: s(pact.agent),
      ...item,
    },
    { ...keys.pact(tenant, pact.agent, pact.version), ...item },
  ];
}

/** A session; what changes in it stands beside the document. */
export function sessionItem(tenant: string, session: Session): Item {
  const { seenAt, holds, keptUntil, opening, sequence, ...fixed } = session;
  return {
    ...keys.session(tenant, session.agent, session.id),
    kind: s('session'),
    id: s(session.id),
    seenAt: s(seenAt),
    holds: s(JSON.stringify(holds)),
    ...(opening === undefined ? {} : { opening: n(opening) }),
    ...(sequence === undefined ? {} : { sequence: n(sequence) }),
    keptUntil: s(keptUntil),
    [TABLE.expires]: n(expiry(keptUntil)),
    doc: s(JSON.stringify(fixed)),
  };
}

/** A session from its item. */
export function sessionOf(item: Item): Session {
  const closedAt = text(item, 'closedAt');
  return {
    ...documentOf<Session>(item),
    seenAt: text(item, 'seenAt') ?? '',
    holds: JSON.parse(text(item, 'holds') ?? '[]') as Session['holds'],
    keptUntil: text(item, 'keptUntil') ?? '',
    ...('opening' in item ? { opening: count(item, 'opening') } : {}),
    ...('sequence' in item ? { sequence: count(item, 'sequence') } : {}),
    ...(closedAt === undefined ? {} : { closedAt }),
  };
}

/** An acknowledgement; that it was contradicted stands beside the document. */
export function acknowledgementItem(tenant: string, acknowledgement: Acknowledgement): Item {
  return {
    ...keys.acknowledgement(tenant, acknowledgement, acknowledgement.session),
    kind: s('acknowledgement'),
    jws: s(acknowledgement.jws),
    doc: s(JSON.stringify(acknowledgement)),
  };
}

/** An acknowledgement from its item. */
export function acknowledgementOf(item: Item): Acknowledgement {
  const contradictedAt = text(item, 'contradictedAt');
  return {
    ...documentOf<Acknowledgement>(item),
    ...(contradictedAt === undefined ? {} : { contradictedAt }),
  };
}

/** When DynamoDB may delete what counts until then, in seconds since 1970. */
export function expiry(until: Instant): number {
  return Math.ceil(fromInstant(until) / 1000);
}

/** When a signal that is taken now is forgotten, in seconds since 1970: an hour after the oldest that is taken anew. */
export function forgottenAt(now: Instant): number {
  return expiry(plusSeconds(now, REMEMBERED_SECONDS + 3600));
}

/** A signal that was taken; DynamoDB forgets it after `expires`, in seconds since 1970, or never. */
export function seenSignalItem(
  tenant: string,
  source: string,
  id: string,
  taken: TakenSignal,
  expires: number | undefined,
): Item {
  return {
    ...keys.seenSignal(tenant, source, id),
    kind: s('signal'),
    doc: s(JSON.stringify(taken)),
    ...(expires === undefined ? {} : { [TABLE.expires]: n(expires) }),
  };
}

/** The suspicions of a credential that were told last; those of before are forgotten by then. */
export function toldItem(tenant: string, credentialId: string, told: ToldSuspicions, expires: number): Item {
  return {
    ...keys.toldSuspicions(tenant, credentialId),
    kind: s('told'),
    doc: s(JSON.stringify(told)),
    [TABLE.expires]: n(expires),
  };
}

/** A signal that waits for people, or did; in the index only while it does. */
export function heldItem(tenant: string, held: HeldSignal): Item {
  return {
    ...keys.held(tenant, held.id),
    kind: s('held'),
    version: n(held.version),
    ...(held.status === 'held'
      ? { [TABLE.indexPk]: s(groups.held(tenant)), [TABLE.indexSk]: s(`${held.heldAt}#${held.id}`) }
      : {}),
    doc: s(JSON.stringify(held)),
  };
}

/** The last run of a function that its schedule calls; in no index, and no reader of the stream takes it. */
export function heartbeatItem(tenant: string, functionName: string, at: string): Item {
  return { ...keys.heartbeat(tenant, functionName), kind: s('heartbeat'), at: s(at) };
}

/** The text attribute `name` of an item; undefined where it is missing. */
export function text(item: Item, name: string): string | undefined {
  const value = item[name];
  return value !== undefined && 'S' in value ? value.S : undefined;
}

/** The number attribute `name` of an item; 0 where it is missing. */
export function count(item: Item, name: string): number {
  const value = item[name];
  return value !== undefined && 'N' in value ? Number(value.N) : 0;
}

/** The document of an item. */
export function documentOf<T>(item: Item): T {
  return JSON.parse(text(item, 'doc') ?? '{}') as T;
}

/** What a session has reported of a minute, from its item. */
export function useOf(credentialId: string, item: Item): UseReport {
  return {
    credentialId,
    agent: text(item, 'agent') ?? '',
    session: text(item, 'session') ?? '',
    versionId: text(item, 'versionId') ?? '',
    succeeded: count(item, 'succeeded'),
    refused: count(item, 'refused'),
    from: text(item, 'from') ?? '',
    to: text(item, 'to') ?? '',
  };
}
