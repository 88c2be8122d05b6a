import { dueOf } from '../domain/calendar.ts';
import { fromInstant, toInstant, type Instant } from '../domain/clock.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import type { Redacted } from '../domain/redacted.ts';
import { isRoot } from '../domain/roots.ts';
import { TAG } from '../names.ts';
import type { SecretDescription, StoredVersion } from '../ports/vault.ts';
import type { Adoption, AnyProvider, Dependency, Notice, ProviderContext } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import { assertUnclaimed, type Draft, type RegisterOptions } from './register-draft.ts';
import { adminOf, contextOf } from './state.ts';

/** What a secret that exists holds now, as far as it could be read. */
export interface Found {
  readonly secret: SecretDescription;
  readonly versionId: string;
  readonly material: Redacted<unknown>;
  /** When the value was stored, hence how old it is at least; absent where the vault doesn't tell. */
  readonly storedAt?: Instant;
  /** The upstream's id of the value, e.g. the user that it logs in as. */
  readonly id: string;
}

/** What was found out before a take-over; nothing was changed for it. */
export interface Examined extends Found {
  readonly report: readonly Dependency[];
}

/** The provider of an adopted credential, with what adopts. */
export async function adopter(
  deps: EngineDeps,
  draft: Pick<Draft, 'type' | 'provider' | 'name' | 'adminSecret'>,
): Promise<{ provider: AnyProvider; adoption: Adoption<unknown, unknown>; ctx: ProviderContext }> {
  const provider = await deps.providerFor(draft.type, draft.provider);
  if (provider.adoption === undefined) {
    throw new RekeyError('ERR_DECLARATION', `${draft.provider} credentials can't be adopted`, {
      field: 'adopt',
      remedy:
        'leave adopt out and declare a secret of another name, which Rekey creates; then move its holders there',
    });
  }
  let admin: ReturnType<ProviderContext['admin']> | undefined;
  const ctx = contextOf(deps, () => (admin ??= deps.readAdmin(adminOf(draft))));
  return { provider, adoption: provider.adoption, ctx };
}

/** The secret that is to be adopted, where it is there and nobody else's. */
export async function existingSecret(
  deps: EngineDeps,
  draft: Draft,
  ownId: string | undefined,
): Promise<SecretDescription> {
  await assertUnclaimed(deps, draft, ownId);
  const found = await deps.vault.describe(draft.secretName);
  if (found === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `there is no secret ${draft.secretName} to adopt`, {
      field: 'secret',
      remedy: isRoot(draft.type)
        ? 'correct its name; or create it, with the value that Rekey is to work with: a root is never made by Rekey'
        : 'correct its name; or leave adopt out, and Rekey creates it',
    });
  }
  const refused = (message: string, remedy: string): RekeyError =>
    new RekeyError('ERR_ADOPTION', `the secret ${found.name} ${message}`, { field: 'secret', remedy });
  if (found.deleted === true) {
    throw refused('is scheduled for deletion', `aws secretsmanager restore-secret --secret-id ${found.name}`);
  }
  if (found.owningService !== undefined) {
    throw refused(
      `is managed by ${found.owningService}, which rotates it itself`,
      'leave it there; give agents a login of their own, and adopt or create a secret for that',
    );
  }
  const owner = found.tags[TAG.credential];
  if (owner !== undefined && owner !== ownId) {
    throw refused(
      `is tagged as that of another credential (${owner})`,
      `unregister it there first; where that credential is long gone: aws secretsmanager untag-resource --secret-id ${found.name} --tag-keys ${TAG.credential}`,
    );
  }
  return found;
}

/** The tags by which the owner of a secret lets this deployment's roles at it, and which are missing. */
export function missingTags(
  secret: SecretDescription,
  draft: Pick<Draft, 'type'>,
  { stage }: Pick<RegisterOptions, 'stage'>,
): readonly (readonly [string, string])[] {
  const wanted = [
    [TAG.type, draft.type],
    [TAG.stage, stage],
  ] as const;
  // Whatever it administers: by that tag nobody takes it for a secret of agents.
  const isUnmarked = isRoot(draft.type) && secret.tags[TAG.admin] === undefined;
  return [
    ...wanted.filter(([key, value]) => secret.tags[key] !== value),
    ...(isUnmarked ? [[TAG.admin, draft.type] as const] : []),
  ];
}

/** The value of the secret, read and recognised. */
export async function readExisting(
  deps: EngineDeps,
  draft: Draft,
  secret: SecretDescription,
): Promise<Found> {
  const { provider, adoption, ctx } = await adopter(deps, draft);
  const versionId = Object.entries(secret.versions).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
  const stored =
    versionId === undefined
      ? undefined
      : await deps.vault.readVersion(secret.arn, { versionId, stage: 'AWSCURRENT' });
  if (versionId === undefined || stored === undefined) {
    throw new RekeyError('ERR_ADOPTION', `the secret ${secret.name} has no current value in text`, {
      field: 'secret',
      remedy: 'store the login there as JSON; binary values are not read',
    });
  }
  const material = atSecret(() => provider.material(stored.text));
  const id = await adoption.identify(draft.target, material, ctx);
  return { secret, versionId, material, id, ...ageOf(deps, stored) };
}

/** Nothing is younger than now, whatever another clock says. */
function ageOf({ clock }: EngineDeps, { storedAt }: StoredVersion): Pick<Found, 'storedAt'> {
  if (storedAt === undefined) return {};
  return { storedAt: toInstant(Math.min(fromInstant(storedAt), clock())) };
}

/** Tells of a value that is due already by its policy: its rotation follows the take-over, not some interval later. */
export function noticesOfAge({ clock }: EngineDeps, draft: Draft, found: Found | undefined): Notice[] {
  const { storedAt } = found ?? {};
  const due = storedAt === undefined ? undefined : dueOf({ ...draft, current: { issuedAt: storedAt } });
  if (due === undefined || fromInstant(due.startsAt) > clock()) return [];
  return [
    {
      field: 'policy.interval',
      message: `the value was stored at ${storedAt ?? ''}: by its policy its rotation has been due since ${due.startsAt}`,
      remedy:
        draft.mode === 'observe'
          ? 'nothing rotates in mode observe; once it leaves that mode, the planner starts a rotation within minutes'
          : 'the planner starts a rotation within minutes of the take-over: apply when that suits, or allow a longer interval',
    },
  ];
}

/** The value's own faults, with the declaration's field. */
function atSecret<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isRekeyError(error, 'ERR_MATERIAL_MISMATCH')) throw error;
    throw new RekeyError('ERR_ADOPTION', error.message, {
      field: 'secret',
      ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    });
  }
}

/**
 * Everything that a take-over demands, in the order in which a person can do something about it. Nothing is changed.
 * @throws RekeyError ERR_ADOPTION, ERR_DECLARATION, or what the provider says of the login
 */
export async function examine(
  deps: EngineDeps,
  options: RegisterOptions,
  draft: Draft,
  ownId: string | undefined,
): Promise<Examined> {
  const secret = await existingSecret(deps, draft, ownId);
  assertConsent(secret, draft, options);
  assertNoRotation(secret, draft, options);
  const { provider, adoption, ctx } = await adopter(deps, draft);
  if (provider.needsAdmin !== false) adminOf(draft);
  const found = await readExisting(deps, draft, secret);
  const report = await adoption.dependencies(draft.target, ctx);
  assertKept(draft.name, report);
  try {
    await provider.verify(draft.target, found.material, ctx);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
    throw new RekeyError('ERR_ADOPTION', `the value of ${secret.name} does not log in: ${error.message}`, {
      field: error.field ?? 'secret',
      remedy: error.remedy ?? 'put the value that works into the secret, then apply again',
    });
  }
  return { ...found, report };
}

function assertConsent(secret: SecretDescription, draft: Draft, options: RegisterOptions): void {
  const missing = missingTags(secret, draft, options);
  if (missing.length === 0) return;
  const tags = missing.map(([key, value]) => `Key=${key},Value=${value}`).join(' ');
  // Which type a root administers is not in its entry; its own would shut out the functions of that type.
  const which = missing.some(([key]) => key === TAG.admin)
    ? `, with ${TAG.admin} as the type of what it administers instead (llm-key, database, …) unless that is a root`
    : '';
  throw new RekeyError(
    'ERR_ADOPTION',
    `the secret ${secret.name} is not tagged for this deployment (${missing.map(([key]) => key).join(', ')})`,
    {
      field: 'secret',
      remedy: `whoever owns the secret consents by: aws secretsmanager tag-resource --secret-id ${secret.name} --tags ${tags}${which}`,
    },
  );
}

function assertNoRotation(secret: SecretDescription, draft: Draft, options: RegisterOptions): void {
  const { rotationEnabled, rotationFunction } = secret;
  if (!rotationEnabled || rotationFunction === options.rotationFunction(draft.type)) return;
  throw new RekeyError(
    'ERR_ADOPTION',
    `the secret ${secret.name} is rotated by ${rotationFunction ?? 'somebody else'} already`,
    {
      field: 'secret',
      remedy: `aws secretsmanager cancel-rotate-secret --secret-id ${secret.name}`,
    },
  );
}

/** Refuses what a rotation could not keep; all of it at once, so that nobody has to come back for the next one. */
function assertKept(name: string, report: readonly Dependency[]): void {
  const blocks = report.filter(({ severity }) => severity === 'blocks');
  if (blocks.length === 0) return;
  throw new RekeyError(
    'ERR_ADOPTION',
    `a rotation of ${name} could not keep: ${blocks.map(({ what, detail }) => `${what} (${detail})`).join('; ')}`,
    { field: 'target', remedy: [...new Set(blocks.flatMap(({ remedy }) => remedy ?? []))].join('; ') },
  );
}

const WORDS = { blocks: 'a rotation could not keep this', kept: 'kept', note: 'to know' } as const;

/** The report as an operator reads it. */
export function noticesOf(report: readonly Dependency[]): Notice[] {
  return report.map(({ what, severity, detail, remedy }) => ({
    field: 'target',
    message: `${WORDS[severity]}: ${what}: ${detail}`,
    remedy: remedy ?? 'nothing to do',
  }));
}
