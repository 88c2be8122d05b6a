import { EVENT } from '../names.ts';
import type { AuditAction, AuditRecord } from './audit.ts';
import { EVERY_FLEET, fleetsOf, type Holder } from './holders.ts';

/** The event that tells agents and operators of an audit record; most records are no news for either. */
const EVENT_OF: Partial<Record<AuditAction, string>> = {
  'rotation-announced': EVENT.announced,
  'task-announced': EVENT.announced,
  'window-opened': EVENT.rotated,
  replaced: EVENT.rotated,
  retired: EVENT.retired,
  'rollback-window-opened': EVENT.rolledBack,
  'rollback-refused': EVENT.failed,
  'consent-given': EVENT.rotated,
  'tokens-refreshed': EVENT.rotated,
  'consent-needed': EVENT.failed,
  'refresh-failed': EVENT.failed,
  'refresh-endangered': EVENT.failed,
  'consent-due': EVENT.expiring,
  aborted: EVENT.failed,
  stuck: EVENT.failed,
  'window-extended': EVENT.failed,
  'window-held': EVENT.failed,
  'operator-awaited': EVENT.failed,
  'replacement-failed': EVENT.failed,
  'emergency-revocation-failed': EVENT.failed,
  'rotation-escalated': EVENT.expiring,
  'rotation-overdue': EVENT.expiring,
  'rotation-endangered': EVENT.expiring,
  'credential-ending': EVENT.expiring,
  'emergency-revoked': EVENT.revoked,
  'anomaly-seen': EVENT.anomaly,
  'signal-held': EVENT.signal,
  'signal-approved': EVENT.signal,
  'signal-denied': EVENT.signal,
  'signal-by-hand': EVENT.signal,
  'glass-broken': EVENT.signal,
};

/** More names than this aren't listed in an event: EventBridge takes 256 KB. */
const MOST_NAMED = 100;

/** Whom an event concerns; rules match on it. */
export interface Concerned {
  /** Names of the holders; empty where there are too many to name, or none is known. */
  readonly holders: readonly string[];
  /** Their fleets; `*` alone where there are too many to name, or none is known: then every fleet hears of it. */
  readonly fleets: readonly string[];
}

/** Whom an event about a credential with these holders concerns. */
export function concerned(holders: readonly Holder[]): Concerned {
  return bounded({ holders: holders.map(({ name }) => name), fleets: fleetsOf(holders) });
}

function bounded({ holders, fleets }: Concerned): Concerned {
  const known = fleets.length > 0 && fleets.length <= MOST_NAMED;
  return {
    holders: holders.length > MOST_NAMED ? [] : holders,
    fleets: known ? fleets : [EVERY_FLEET],
  };
}

/** What is published of a record. `id` is the same at every delivery of the same event. */
export interface RekeyEvent {
  readonly detailType: string;
  readonly detail: Concerned & {
    readonly id: string;
    readonly time: string;
    readonly tenant: string;
    readonly account: string;
    readonly region: string;
    readonly credentialId: string;
    readonly credential: string;
    readonly rotationId: string;
    readonly action: AuditAction;
    readonly trigger: string;
    readonly oldFingerprint: string;
    readonly newFingerprint: string;
    readonly windowOpens: string;
    readonly windowCloses: string;
    readonly incident: string;
    readonly deactivation: string;
    /** What a person does at the upstream, where something waits for that. */
    readonly byHand?: string;
    /** Whether what a signal is about works until a person acts. */
    readonly meanwhile?: string;
  };
}

/** The event of a record, if there is one. No evidence goes out but what somebody has to know at once: it is for the audit. */
export function eventOf(record: AuditRecord): RekeyEvent | undefined {
  const detailType = EVENT_OF[record.message];
  if (detailType === undefined) return undefined;
  const { entity, metadata, cloud } = record;
  const { holders, fleets = holders } = entity.data;
  return {
    detailType,
    detail: {
      id: `${entity.uid}-${metadata.sequence}`,
      time: record.time_dt,
      tenant: metadata.tenant_uid,
      account: cloud.account.uid,
      region: cloud.region,
      credentialId: entity.uid,
      credential: entity.name,
      rotationId: metadata.correlation_uid,
      action: record.message,
      trigger: entity.data.trigger,
      oldFingerprint: entity.data.old_fingerprint,
      newFingerprint: entity.data.new_fingerprint,
      windowOpens: entity.data.window_opens,
      windowCloses: entity.data.window_closes,
      incident: entity.data.incident,
      deactivation: entity.data.deactivation,
      ...toldOf(record),
      ...bounded({ holders, fleets }),
    },
  };
}

/** What of its evidence goes out with a record. */
const TOLD: Partial<Record<AuditAction, 'byHand' | 'meanwhile'>> = {
  'operator-awaited': 'byHand',
  'signal-held': 'meanwhile',
};

function toldOf({ message, entity }: AuditRecord): { readonly byHand?: string; readonly meanwhile?: string } {
  if (message === 'signal-by-hand') return { meanwhile: 'It works until a person ends it at its upstream.' };
  const field = TOLD[message];
  if (field === undefined || entity.data.evidence === '') return {};
  const { [field]: text } = JSON.parse(entity.data.evidence) as Readonly<Record<string, unknown>>;
  return typeof text === 'string' ? { [field]: text } : {};
}
