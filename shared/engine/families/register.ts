import { GENESIS } from '../../domain/audit.ts';
import { toInstant } from '../../domain/clock.ts';
import type { Home } from '../../domain/credential.ts';
import { diffFamily, type FieldChange } from '../../domain/declared-diff.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { familySecrets, type Family, type FamilyTerms } from '../../domain/families.ts';
import { assertSameServer } from '../../domain/family-hosts.ts';
import { noToken } from '../../domain/family-secret.ts';
import type { Trigger } from '../../domain/rotation.ts';
import { FAMILY_TYPE, TAG } from '../../names.ts';
import type { FamilyDeps } from './deps.ts';
import { recordOf } from './deps.ts';

/** What registering families needs beside the coordinator's parts. */
export interface FamilyOptions {
  readonly home: Home;
  readonly stage: string;
  /** What the names of secrets begin with that Rekey makes. */
  readonly secretPrefix: string;
  /** Key of the secrets that agents read. */
  readonly secretsKey: string;
  /** Key of what the coordinator alone reads. */
  readonly sealingKey: string;
}

/** What became of a declaration. */
export interface FamilyApplied {
  readonly outcome: 'registered' | 'updated' | 'unchanged';
  readonly changes: readonly FieldChange[];
  readonly family?: Family | undefined;
}

/** A family as declared. */
export interface FamilyRequest {
  readonly name: string;
  readonly terms: FamilyTerms;
  readonly trigger: Trigger;
  readonly dryRun: boolean;
}

/**
 * Registers a family, or brings a registered one in line with its declaration. Nobody is asked for consent by it, and no
 * server is called. What an interrupted attempt has left is completed by the next one.
 * @throws RekeyError ERR_DECLARATION, ERR_CONFLICT (the name is taken), ERR_SECRET_EXISTS
 */
export async function applyFamily(
  deps: FamilyDeps,
  options: FamilyOptions,
  request: FamilyRequest,
): Promise<FamilyApplied> {
  const { name, terms, dryRun } = request;
  const before = await deps.families.familyByName(name);
  if (before?.status === 'unregistered') throw unfinished(name);
  if (before !== undefined) {
    assertSameClient(before, terms);
    assertSameServer(before, terms);
  }
  const changes = diffFamily(before?.terms, terms);
  const outcome = before === undefined ? 'registered' : changes.length > 0 ? 'updated' : 'unchanged';
  if (dryRun) return { outcome, changes };
  const reserved = before ?? (await reserve(deps, options, request));
  const updated = outcome === 'updated' ? await update(deps, reserved, request, changes) : reserved;
  const family = updated.provisioned ? updated : await provision(deps, options, updated, request.trigger);
  return { outcome, changes, family };
}

function unfinished(name: string): RekeyError {
  return new RekeyError('ERR_MODE', `the unregistering of the former ${name} was interrupted`, {
    field: 'name',
    remedy: `\`rekey unregister ${name}\` completes it; then apply again`,
  });
}

/** Refresh tokens are bound to the client that got them: another client begins another family. */
function assertSameClient({ terms: before }: Family, after: FamilyTerms): void {
  const field =
    before.client.id !== after.client.id ? 'client.id' : before.grant !== after.grant ? 'grant' : undefined;
  if (field === undefined) return;
  throw new RekeyError('ERR_DECLARATION', `${field} of a token family can't be changed`, {
    field,
    remedy: 'declare it under another name and connect that; then unregister this one',
  });
}

async function reserve(deps: FamilyDeps, options: FamilyOptions, request: FamilyRequest): Promise<Family> {
  const { name, terms, trigger } = request;
  const at = toInstant(deps.clock());
  const ownToken = terms.grant === 'client_credentials';
  const family: Family = {
    ...options.home,
    id: deps.newId(),
    name,
    terms,
    ...familySecrets(options.secretPrefix, name),
    provisioned: false,
    // Nothing is obtained before the secrets are there: `provision` says that they are.
    status: 'consent-needed',
    needs: { why: 'first', since: at },
    attempts: 0,
    version: 0,
    seq: 0,
    chain: GENESIS,
    registeredAt: at,
    updatedAt: at,
  };
  const evidence = { grant: terms.grant, client: terms.client.id, consent: !ownToken };
  try {
    return await deps.families.create(
      family,
      recordOf(deps, family, 'registration-intended', trigger, { evidence }),
    );
  } catch (error) {
    const now = isRekeyError(error, 'ERR_CONFLICT') ? await deps.families.familyByName(name) : undefined;
    if (now !== undefined && now.status !== 'unregistered') return now;
    throw error;
  }
}

async function update(
  deps: FamilyDeps,
  before: Family,
  { terms, trigger }: FamilyRequest,
  changes: readonly FieldChange[],
): Promise<Family> {
  const record = recordOf(deps, before, 'declaration-changed', trigger, { evidence: { changes } });
  // What was wrong may be mended by it: it is tried anew at once.
  const trouble = before.trouble && { ...before.trouble, notBefore: toInstant(deps.clock()) };
  return deps.families.commit({ before, after: { ...before, terms, trouble }, records: [record] });
}

/** Makes both secrets, with nothing in them yet. Every line may run twice. */
async function provision(
  deps: FamilyDeps,
  options: FamilyOptions,
  family: Family,
  trigger: Trigger,
): Promise<Family> {
  const { id, name, secretName, refreshSecretName, terms } = family;
  await make(deps, options, family, {
    name: secretName,
    description: `Access token of ${name}, refreshed by Rekey`,
    kmsKeyId: options.secretsKey,
  });
  await make(deps, options, family, {
    name: refreshSecretName,
    description: `Refresh token of ${name}: for Rekey alone`,
    kmsKeyId: options.sealingKey,
  });
  // One that an emergency has ended meanwhile stays so, whoever completes its registration.
  const begins = terms.grant === 'client_credentials' && family.needs?.why === 'first';
  const after: Family = {
    ...family,
    provisioned: true,
    ...(begins ? { status: 'active', needs: undefined } : {}),
  };
  try {
    return await deps.families.commit({
      before: family,
      after,
      records: [recordOf(deps, family, 'registered', trigger, { evidence: { secret: secretName } })],
    });
  } catch (error) {
    const now = isRekeyError(error, 'ERR_CONFLICT') ? await deps.families.family(id) : undefined;
    if (now?.provisioned === true) return now;
    throw error;
  }
}

async function make(
  { vault }: FamilyDeps,
  { stage }: FamilyOptions,
  { id, registeredAt }: Family,
  secret: { readonly name: string; readonly description: string; readonly kmsKeyId: string },
): Promise<void> {
  const made = await vault.create({
    ...secret,
    // A UUID, hence a valid token, and the same at every repetition.
    token: id,
    text: noToken(registeredAt),
    tags: { [TAG.type]: FAMILY_TYPE, [TAG.stage]: stage, [TAG.credential]: id },
  });
  if (made.outcome === 'created') return;
  const found = await vault.describe(secret.name);
  if (found?.tags[TAG.credential] === id && found.deleted !== true) return;
  throw new RekeyError('ERR_SECRET_EXISTS', `the secret ${secret.name} exists already`, {
    field: 'name',
    remedy: 'declare the family under another name, or delete that secret, and apply again',
  });
}
