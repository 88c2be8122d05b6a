import type { AuditAction, AuditDraft } from '../../domain/audit.ts';
import { toInstant, type Clock } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { AuthorizationServer } from '../../ports/authorization-server.ts';
import type { EventPublisher } from '../../ports/events.ts';
import type { FamilyLedger } from '../../ports/families.ts';
import type { Stage, Vault } from '../../ports/vault.ts';

/** What the coordinator of token families works with. */
export interface FamilyDeps {
  readonly families: FamilyLedger;
  readonly vault: Vault;
  readonly server: AuthorizationServer;
  readonly events: EventPublisher;
  /** Reads the secret of a client; undefined where that stage has nothing. */
  readonly readClientSecret: (secret: string, stage: Stage) => Promise<Redacted<string> | undefined>;
  readonly clock: Clock;
  /** A fresh UUID. */
  readonly newId: () => string;
  readonly pause: (ms: number) => Promise<unknown>;
}

/** A family by its id. @throws RekeyError ERR_NOT_FOUND */
export async function loadFamily(
  { families }: { readonly families: Pick<FamilyLedger, 'family'> },
  id: string,
): Promise<Family> {
  const family = await families.family(id);
  if (family === undefined || family.status === 'unregistered') throw unknownFamily(id);
  return family;
}

/** A family by its name. @throws RekeyError ERR_NOT_FOUND */
export async function familyNamed({ families }: Pick<FamilyDeps, 'families'>, name: string): Promise<Family> {
  const family = await families.familyByName(name);
  if (family === undefined || family.status === 'unregistered') throw unknownFamily(name);
  return family;
}

function unknownFamily(name: string): RekeyError {
  return new RekeyError('ERR_NOT_FOUND', `there is no token family "${name}"`, {
    field: 'name',
    remedy: '`rekey list` names them all',
  });
}

/** A record about a family. */
export function recordOf(
  { clock }: Pick<FamilyDeps, 'clock'>,
  { id, terms, tokens, attempt }: Family,
  action: AuditAction,
  trigger: Trigger,
  about: Partial<
    Pick<AuditDraft, 'newFingerprint' | 'correlationId' | 'incidentId' | 'deactivation' | 'evidence'>
  > = {},
): AuditDraft {
  return {
    action,
    time: toInstant(clock()),
    trigger,
    correlationId: attempt?.id ?? tokens?.versionId ?? id,
    holders: terms.holders.map(({ name }) => name),
    ...(tokens === undefined ? {} : { oldFingerprint: tokens.fingerprint }),
    ...about,
  };
}

/**
 * Commits `after` for `before`. A refusal may be that of a repetition whose first answer was lost: `isDone` tells by what is
 * there now. Undefined where somebody else was faster.
 */
export async function committed(
  { families }: Pick<FamilyDeps, 'families'>,
  change: Parameters<FamilyLedger['commit']>[0],
  isDone: (now: Family) => boolean,
): Promise<Family | undefined> {
  try {
    return await families.commit(change);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_CONFLICT')) throw error;
    const now = await families.family(change.before.id);
    return now !== undefined && isDone(now) ? now : undefined;
  }
}
