import * as z from 'zod';
import type { AuditAction, AuditRecord } from '../audit.ts';
import type { Instant } from '../clock.ts';
import type { TracedKey } from './facts.ts';
import { holesOf, momentsOf, type Known, type Trail } from './trail.ts';

/** What the records of a family tell of its tokens: those that have one fingerprint, with every version that has it. */
interface Life {
  readonly fingerprint: string;
  readonly handle: string;
  readonly firstSeq: number;
  /** With when the attempt began that has brought each: before it nobody could have it. */
  readonly versions: { readonly id: string; readonly at: Instant }[];
  /** When the newest of its access tokens ends by itself. */
  expiresAt: Instant;
  /** Another consent has replaced the one that it is of: the server may take it yet. */
  isReplaced: boolean;
  end?: { readonly at: Instant; readonly seq: number };
}

const BRINGING: ReadonlySet<AuditAction> = new Set(['consent-given', 'tokens-refreshed']);
const REPORTING: ReadonlySet<AuditAction> = new Set(['leak-reported', 'signal-held']);

const evidence = z.object({
  attempt: z.number().optional().catch(undefined),
  begunAt: z.string().optional().catch(undefined),
  expiresAt: z.string().optional().catch(undefined),
  /** Of what a server has confirmed. */
  revoked: z.array(z.string()).catch([]),
  /** Of a token that was found. */
  token: z.string().optional().catch(undefined),
  versionId: z.string().optional().catch(undefined),
});

/**
 * Reads one incident out of a family's records, in any order. A value is what one refresh token gives, with the access tokens
 * that came with it; without refresh tokens it is each access token. It is exposed from the attempt on that has brought it until the server
 * has confirmed that it is revoked.
 */
export function familyTrailOf(
  records: readonly AuditRecord[],
  incident: string,
  known: Pick<Known, 'head' | 'now'>,
): Trail {
  const sorted = records.toSorted((a, b) => seqOf(a) - seqOf(b));
  const lives = livesOf(sorted);
  const own = sorted.filter(({ entity }) => entity.data.incident === incident);
  const haltedAt = own.find(({ message }) => message === 'agents-halted')?.time_dt;
  return {
    keys: [
      ...lives.filter((life) => concerns(life, lives, own)).map((life) => keyOf(life)),
      ...foundIn(own, lives),
    ],
    moments: momentsOf(own),
    ...(haltedAt === undefined ? {} : { haltedAt }),
    since: sorted[0]?.time_dt ?? known.now,
    // Of a long chain the newest records are read: what came before them is not missing.
    holes: holesOf(sorted, known, sorted[0] === undefined ? 1 : seqOf(sorted[0])),
  };
}

function livesOf(sorted: readonly AuditRecord[]): Life[] {
  const lives = new Map<string, Life>();
  for (const record of sorted) {
    const { message, entity, metadata, time_dt: time } = record;
    const fingerprint = entity.data.new_fingerprint;
    const said = evidenceIn(record);
    if (message === 'emergency-revoked' && entity.data.deactivation === 'CONFIRMED') {
      // All that descends from the consent; what another one has replaced only where it was revoked as well.
      for (const life of lives.values())
        if (!life.isReplaced || life.versions.some(({ id }) => said.revoked.includes(id)))
          life.end ??= { at: time, seq: seqOf(record) };
    }
    if (!BRINGING.has(message) || fingerprint === '') continue;
    if (message === 'consent-given')
      for (const life of lives.values()) if (isNewest(life, lives)) life.isReplaced = true;
    const known = lives.get(fingerprint);
    const expiresAt = said.expiresAt ?? time;
    const version = { id: metadata.correlation_uid, at: said.begunAt ?? time };
    if (known !== undefined) {
      known.versions.push(version);
      known.expiresAt = expiresAt;
      continue;
    }
    lives.set(fingerprint, {
      fingerprint,
      handle: `${entity.name}#${said.attempt ?? seqOf(record)}`,
      firstSeq: seqOf(record),
      versions: [version],
      expiresAt,
      isReplaced: false,
    });
  }
  return [...lives.values()];
}

/** Whether the incident has ended it or was to: what the server took when it began, and access tokens that had time left. */
function concerns(life: Life, lives: readonly Life[], own: readonly AuditRecord[]): boolean {
  return own.some((record) => {
    const seq = seqOf(record);
    if (REPORTING.has(record.message)) return record.entity.data.old_fingerprint === life.fingerprint;
    if (record.message !== 'emergency-intended' || life.firstSeq > seq) return false;
    if (life.end !== undefined && life.end.seq < seq) return false;
    const newest = lives.filter(({ firstSeq }) => firstSeq < seq).at(-1);
    return life === newest || life.isReplaced || life.expiresAt > record.time_dt;
  });
}

/** Access tokens that were found, of which no other record has the fingerprint: each is of the version that has brought it. */
function foundIn(own: readonly AuditRecord[], lives: readonly Life[]): TracedKey[] {
  const found = new Map<string, TracedKey>();
  for (const record of own) {
    const fingerprint = record.entity.data.old_fingerprint;
    const { token, versionId } = evidenceIn(record);
    if (!REPORTING.has(record.message) || token !== 'access' || versionId === undefined) continue;
    for (const life of lives) {
      const version = life.versions.find(({ id }) => id === versionId);
      if (version === undefined || life.fingerprint === fingerprint) continue;
      found.set(fingerprint, { ...keyOf(life), fingerprint, versionIds: [versionId], madeAt: version.at });
    }
  }
  return [...found.values()];
}

/** As many versions as Secrets Manager keeps: where a server never replaces a refresh token, there is one for each refresh. */
const VERSIONS_KEPT = 100;

function keyOf({ fingerprint, handle, versions, end }: Life): TracedKey {
  return {
    fingerprint,
    handle,
    versionIds: versions
      .slice(-VERSIONS_KEPT)
      .map(({ id }) => id)
      .toSorted(),
    ...(versions[0] === undefined ? {} : { madeAt: versions[0].at }),
    ...(end === undefined
      ? {}
      : { endedAt: end.at, endedBy: 'emergency-revoked: the server has confirmed the revocation' }),
  };
}

function isNewest(life: Life, lives: ReadonlyMap<string, Life>): boolean {
  return [...lives.values()].at(-1) === life;
}

function evidenceIn({ entity }: AuditRecord): z.infer<typeof evidence> {
  try {
    return evidence.parse(JSON.parse(entity.data.evidence));
  } catch {
    return evidence.parse({});
  }
}

function seqOf({ metadata }: AuditRecord): number {
  return metadata.sequence;
}
