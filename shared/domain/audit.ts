import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { fromInstant, type Instant } from './clock.ts';
import type { Home } from './credential.ts';
import { fleetsOf, type Holder } from './holders.ts';
import type { Trigger, Window } from './rotation.ts';
import { REKEY_VERSION } from '../version.ts';

/** Hash that precedes the first record of a chain. */
export const GENESIS = 'sha256:' + '0'.repeat(64);

/** What happened. The name says whether it is an intent (…-intended) or a fact. */
export type AuditAction =
  | 'registration-intended'
  | 'registered'
  | 'registration-undone'
  | 'observed'
  | 'adopt-intended'
  | 'adopted'
  | 'adoption-undone'
  | 'declaration-changed'
  | 'paused'
  | 'unpaused'
  | 'unregister-intended'
  | 'unregistered'
  | 'policy-findings'
  | 'task-announced'
  | 'task-confirmed'
  | 'rotation-escalated'
  | 'rotation-overdue'
  | 'rotation-endangered'
  | 'credential-ending'
  | 'rotation-announced'
  | 'rotation-deferred'
  | 'deferral-skipped'
  | 'deferral-ended'
  | 'issue-intended'
  | 'activation-intended'
  | 'promotion-intended'
  | 'window-opened'
  | 'redeployment-intended'
  | 'canary-observed'
  | 'holder-confirmed'
  | 'window-waiting'
  | 'window-extended'
  | 'window-held'
  | 'suspension-intended'
  | 'suspension-confirmed'
  | 'suspension-lifted'
  | 'revocation-intended'
  | 'operator-awaited'
  | 'operator-confirmed'
  | 'retired'
  | 'kept'
  | 'rollback-intended'
  | 'rollback-window-opened'
  | 'rollback-refused'
  | 'rolled-back'
  | 'abort-intended'
  | 'aborted'
  | 'stuck'
  | 'consent-given'
  | 'consent-needed'
  | 'consent-due'
  | 'tokens-refreshed'
  | 'refresh-failed'
  | 'refresh-endangered'
  | 'certificate-revocation-intended'
  | 'leak-reported'
  | 'anomaly-seen'
  | 'signal-held'
  | 'signal-approved'
  | 'signal-denied'
  | 'signal-by-hand'
  | 'glass-broken'
  | 'emergency-intended'
  | 'emergency-revoked'
  | 'emergency-revocation-failed'
  | 'agents-halted'
  | 'replacement-intended'
  | 'replacement-generated'
  | 'replacement-validated'
  | 'replacement-failed'
  | 'replaced'
  | 'agents-resumed';

/**
 * OCSF Entity Management (class 3004) activities: 2 read … the ones used here are 3 update (rotation), 4 delete
 * (destroyed), 1 create, 9 disable, 8 enable and 99 other.
 */
const ACTIVITY: Partial<Record<AuditAction, number>> = {
  registered: 1,
  observed: 1,
  adopted: 3,
  'task-confirmed': 3,
  'consent-given': 3,
  'tokens-refreshed': 3,
  'window-opened': 3,
  replaced: 3,
  'suspension-intended': 9,
  'suspension-lifted': 8,
  retired: 9,
  'rolled-back': 9,
  aborted: 9,
  'emergency-revoked': 9,
};

const SEVERITY: Partial<Record<AuditAction, number>> = {
  stuck: 4,
  'policy-findings': 3,
  paused: 3,
  unregistered: 3,
  'task-announced': 3,
  'rotation-escalated': 4,
  'rotation-overdue': 4,
  'rotation-endangered': 3,
  'credential-ending': 4,
  'window-extended': 3,
  'window-held': 4,
  'operator-awaited': 4,
  aborted: 3,
  'rolled-back': 3,
  'rollback-refused': 3,
  'consent-needed': 4,
  'consent-due': 3,
  'refresh-failed': 4,
  'refresh-endangered': 4,
  'certificate-revocation-intended': 4,
  'leak-reported': 4,
  'anomaly-seen': 3,
  'signal-held': 4,
  'signal-approved': 4,
  'signal-denied': 3,
  'signal-by-hand': 4,
  'glass-broken': 5,
  'emergency-intended': 4,
  'emergency-revoked': 4,
  'emergency-revocation-failed': 5,
  'replacement-failed': 5,
};

/** What the engine says of an event; the ledger adds number and chain when it commits. */
export interface AuditDraft {
  readonly action: AuditAction;
  readonly time: Instant;
  readonly trigger: Trigger;
  readonly correlationId?: string;
  readonly oldFingerprint?: string;
  readonly newFingerprint?: string;
  readonly oldHandle?: string;
  readonly newHandle?: string;
  readonly window?: Window;
  /** Names of the holders concerned (A1: affected agents). */
  readonly holders?: readonly string[];
  /**
   * A2: `CONFIRMED` only with a provider's status read or a negative authentication; `NOT CONFIRMED` where that was
   * tried and failed; absent where the event deactivates nothing.
   */
  readonly deactivation?: 'CONFIRMED' | 'NOT CONFIRMED';
  /** Evidence and details as JSON text, so that the archive's schema stays fixed. Never material. */
  readonly evidence?: unknown;
  readonly incidentId?: string;
}

/** A committed record: an OCSF 1.9 event plus the chain. Immutable. */
export interface AuditRecord {
  readonly class_uid: 3004;
  readonly category_uid: 3;
  readonly activity_id: number;
  readonly type_uid: number;
  readonly severity_id: number;
  /** Epoch milliseconds, as OCSF wants it. */
  readonly time: number;
  /** The same as RFC 3339, for people and for SQL. */
  readonly time_dt: Instant;
  readonly message: AuditAction;
  readonly metadata: {
    readonly version: '1.9.0';
    readonly product: { readonly name: 'Rekey'; readonly vendor_name: 'Rekey'; readonly version: string };
    readonly correlation_uid: string;
    readonly sequence: number;
    readonly tenant_uid: string;
  };
  readonly cloud: {
    readonly provider: 'AWS';
    readonly account: { readonly uid: string };
    readonly region: string;
  };
  readonly actor: { readonly user: { readonly uid: string } };
  readonly entity: {
    readonly type: 'Credential';
    readonly uid: string;
    readonly name: string;
    readonly data: {
      readonly trigger: string;
      readonly reason: string;
      readonly incident: string;
      readonly old_fingerprint: string;
      readonly new_fingerprint: string;
      readonly old_handle: string;
      readonly new_handle: string;
      readonly window_opens: string;
      readonly window_closes: string;
      readonly holders: readonly string[];
      /** The credential's fleets at that time. Absent in what older versions wrote: each holder was its own fleet. */
      readonly fleets?: readonly string[];
      readonly deactivation: string;
      readonly evidence: string;
    };
  };
  readonly integrity: { readonly algorithm: 'SHA-256'; readonly previous: string; readonly hash: string };
}

/** The credential whose chain a record joins. */
export interface ChainHead extends Home {
  readonly id: string;
  readonly name: string;
  readonly holders: readonly Holder[];
  readonly seq: number;
  readonly chain: string;
}

/** The record that follows `head`, numbered and chained (audit-and-security decisions 1 and 2). */
export function seal(head: ChainHead, draft: AuditDraft): AuditRecord {
  const activity = ACTIVITY[draft.action] ?? 99;
  const open: Omit<AuditRecord, 'integrity'> & { integrity: Omit<AuditRecord['integrity'], 'hash'> } = {
    class_uid: 3004,
    category_uid: 3,
    activity_id: activity,
    type_uid: 300400 + activity,
    severity_id: SEVERITY[draft.action] ?? 1,
    time: fromInstant(draft.time),
    time_dt: draft.time,
    message: draft.action,
    metadata: {
      version: '1.9.0',
      product: { name: 'Rekey', vendor_name: 'Rekey', version: REKEY_VERSION },
      correlation_uid: draft.correlationId ?? '',
      sequence: head.seq + 1,
      tenant_uid: head.tenant,
    },
    cloud: { provider: 'AWS', account: { uid: head.account }, region: head.region },
    actor: { user: { uid: draft.trigger.actor } },
    entity: {
      type: 'Credential',
      uid: head.id,
      name: head.name,
      data: {
        trigger: draft.trigger.kind,
        reason: draft.trigger.reason ?? '',
        incident: draft.incidentId ?? '',
        old_fingerprint: draft.oldFingerprint ?? '',
        new_fingerprint: draft.newFingerprint ?? '',
        old_handle: draft.oldHandle ?? '',
        new_handle: draft.newHandle ?? '',
        window_opens: draft.window?.opensAt ?? '',
        window_closes: draft.window?.deadline ?? '',
        holders: draft.holders ?? [],
        fleets: fleetsOf(head.holders),
        deactivation: draft.deactivation ?? '',
        evidence: draft.evidence === undefined ? '' : JSON.stringify(draft.evidence),
      },
    },
    integrity: { algorithm: 'SHA-256', previous: head.chain },
  };
  return { ...open, integrity: { ...open.integrity, hash: hashOf(open) } };
}

/** The records of `drafts` one after the other on a chain, and where it ends then. */
export function chained(
  head: ChainHead,
  drafts: readonly AuditDraft[],
): { readonly seq: number; readonly chain: string; readonly records: readonly AuditRecord[] } {
  let { seq, chain } = head;
  const records = drafts.map((draft) => {
    const record = seal({ ...head, seq, chain }, draft);
    ({ sequence: seq } = record.metadata);
    ({ hash: chain } = record.integrity);
    return record;
  });
  return { seq, chain, records };
}

/** SHA-256 over the RFC 8785 canonical JSON of a record without its own hash. */
export function hashOf(record: object): string {
  const { integrity, ...rest } = record as { integrity: { hash?: string } };
  const { hash: _own, ...open } = integrity;
  const text = canonicalize({ ...rest, integrity: open });
  return `sha256:${createHash('sha256')
    .update(text ?? '')
    .digest('hex')}`;
}

/** What is wrong with a chain, by sequence number; nothing where it is whole. */
export interface ChainFault {
  readonly credentialId: string;
  readonly seq: number;
  readonly fault: 'gap' | 'duplicate' | 'hash' | 'link' | 'beyond-head';
}

/** Whether a record is as it was written, whatever was before and after it. */
export function isIntact(record: AuditRecord): boolean {
  return hashOf(record) === record.integrity.hash;
}

/** That a token family was refreshed by the clock, which happens dozens of times a day. */
export function isRoutine({ message, entity }: Pick<AuditRecord, 'message' | 'entity'>): boolean {
  return message === 'tokens-refreshed' && entity.data.trigger === ROUTINE;
}

const ROUTINE: Trigger['kind'] = 'planner';

/**
 * What is wrong within records of one credential, by number: each hash, each link between neighbours, numbers that come twice.
 * Whether records are missing is for the caller to say, who may have more of them.
 */
export function checkStretch(records: readonly AuditRecord[]): ChainFault[] {
  const faults: ChainFault[] = [];
  let before = { seq: 0, hash: GENESIS };
  for (const record of bySequence(records)) {
    const { sequence: seq } = record.metadata;
    const fault = (kind: ChainFault['fault']): unknown =>
      faults.push({ credentialId: record.entity.uid, seq, fault: kind });
    if (seq <= before.seq) {
      fault('duplicate');
      continue;
    }
    if (!isIntact(record)) fault('hash');
    if (seq === before.seq + 1 && record.integrity.previous !== before.hash) fault('link');
    before = { seq, hash: record.integrity.hash };
  }
  return faults;
}

/**
 * Checks all records of one credential: numbered without gap from 1, each hash right, each linked to the one before.
 * Order of input does not matter. The end of a chain can only be checked against the ledger's head: read it
 * after the records, and pass it.
 */
export function checkChain(
  records: readonly AuditRecord[],
  head?: { seq: number; chain: string },
): ChainFault[] {
  const sorted = bySequence(records);
  const credentialId = sorted[0]?.entity.uid ?? '';
  const faults = checkStretch(sorted);
  let end = { seq: 0, hash: GENESIS };
  const gapBefore = (next: number): void => {
    for (let seq = end.seq + 1; seq < next; seq++) faults.push({ credentialId, seq, fault: 'gap' });
  };
  for (const { metadata, integrity } of sorted) {
    if (metadata.sequence <= end.seq) continue;
    gapBefore(metadata.sequence);
    end = { seq: metadata.sequence, hash: integrity.hash };
  }
  if (head !== undefined) {
    gapBefore(head.seq + 1);
    for (const { metadata } of sorted)
      if (metadata.sequence > head.seq)
        faults.push({ credentialId, seq: metadata.sequence, fault: 'beyond-head' });
    if (sorted.length > 0 && end.seq === head.seq && end.hash !== head.chain)
      faults.push({ credentialId, seq: head.seq, fault: 'link' });
  }
  return faults.sort((a, b) => a.seq - b.seq);
}

function bySequence(records: readonly AuditRecord[]): AuditRecord[] {
  return [...records].sort((a, b) => a.metadata.sequence - b.metadata.sequence);
}
