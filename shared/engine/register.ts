import { GENESIS } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, Home, Key } from '../domain/credential.ts';
import {
  assertForeignHost,
  holdersOf,
  modeOf,
  policyInput,
  type CredentialEntry,
} from '../domain/declaration.ts';
import { diffDeclared, type FieldChange } from '../domain/declared-diff.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { MAX_INTERVAL_DAYS, resolvePolicy, type PolicyLimits } from '../domain/policy.ts';
import type { Trigger } from '../domain/rotation.ts';
import { TAG } from '../names.ts';
import type { Issued } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import { reached } from './incident.ts';
import { describeHandle, loadCredential, untilCommitted, upstream } from './state.ts';

/** What registration needs beside the engine's own parts. */
export interface RegisterOptions {
  readonly home: Home;
  /** Stage of the deployment; its functions may touch only secrets that carry it as a tag. */
  readonly stage: string;
  readonly limits: PolicyLimits;
  /** Rotation function (alias ARN) of a credential type. */
  readonly rotationFunction: (type: string) => string;
  readonly secretsKey?: string;
}

export interface RegisterAnswer {
  readonly outcome: 'registered' | 'updated' | 'unchanged';
  readonly changes: readonly FieldChange[];
  readonly credential?: Credential;
}

/** What has been issued and put into the vault. */
interface Provisioned {
  readonly issued: Issued<unknown>;
  readonly material: Issued<unknown>['material'];
  readonly made: Awaited<ReturnType<EngineDeps['vault']['create']>>;
}

/** A credential as declared, before the ledger has one. */
type Draft = Omit<
  Credential,
  | 'id'
  | 'version'
  | 'epoch'
  | 'seq'
  | 'chain'
  | 'registeredAt'
  | 'updatedAt'
  | 'live'
  | 'generation'
  | 'status'
>;

/**
 * Registers a credential from its declaration, or brings a registered one in line with it. Nothing rotates by it
 * (RotateImmediately=false). Refusals come before anything is created; what an interrupted attempt has left is
 * completed by the next one.
 * @throws RekeyError naming field and remedy: ERR_DECLARATION, ERR_POLICY, ERR_WINDOW_TOO_SHORT, ERR_SECRET_EXISTS,
 * ERR_UNAVAILABLE / ERR_ADMIN_DENIED (target), ERR_CONFLICT.
 */
export async function register(
  deps: EngineDeps,
  options: RegisterOptions,
  request: { declaration: CredentialEntry; actor: string; dryRun: boolean },
): Promise<RegisterAnswer> {
  const draft = await draftOf(deps, options, request.declaration);
  const trigger: Trigger = { kind: 'operator', actor: request.actor };
  const existingId = await deps.ledger.idByName(draft.name);
  if (existingId !== undefined) {
    const existing = await loadCredential(deps, existingId);
    if (existing.status !== 'registering' && !isAbandoned(existing))
      return update(deps, options, existing, draft, trigger, request.dryRun);
  }
  await assertFree(deps, draft, existingId);
  await preflight(deps, draft);
  const changes = diffDeclared(undefined, draft);
  if (request.dryRun) return { outcome: 'registered', changes };
  const reserved =
    existingId === undefined
      ? await reserve(deps, draft, trigger)
      : await takeUp(deps, await loadCredential(deps, existingId), draft, trigger);
  const credential = await provisionOrUndo(deps, options, reserved, trigger);
  return { outcome: 'registered', changes, credential };
}

/** Whether an emergency has ended a registration before it had made the secret: nothing is there to be replaced. */
function isAbandoned(credential: Credential): boolean {
  if (credential.status !== 'halted' || credential.current !== undefined) return false;
  if (credential.secretArn !== undefined) return false;
  if (credential.incident !== undefined && reached(credential.incident, 'halted')) return true;
  throw new RekeyError('ERR_CONFLICT', `an emergency of ${credential.name} is under way`, {
    remedy: 'apply again once it has ended',
  });
}

/** What an interrupted attempt has reserved, brought in line with what is declared now; or reserved anew. */
async function takeUp(
  deps: EngineDeps,
  found: Credential,
  draft: Draft,
  trigger: Trigger,
): Promise<Credential> {
  const changes = diffDeclared(found, draft);
  const message =
    found.status === 'registering'
      ? changes.some(isFixed) && 'the declaration was corrected in what is fixed'
      : 'an emergency ended this registration';
  if (message !== false) {
    await undo(deps, found, trigger, { code: 'ERR_PREEMPTED', message });
    // Above every generation that was revoked, so that whatever comes late from there can't hit the new one.
    return reserve(deps, draft, trigger, found.generation + 1);
  }
  return changes.length === 0
    ? found
    : redeclare(deps, () => assertOurs(deps, found), draft, trigger, changes);
}

async function provisionOrUndo(
  deps: EngineDeps,
  options: RegisterOptions,
  reserved: Credential,
  trigger: Trigger,
): Promise<Credential> {
  try {
    return await provision(deps, options, reserved, trigger);
  } catch (error) {
    // What may pass is left for the next attempt to complete; what is final leaves nothing half-made.
    if (!isRekeyError(error) || error.retryable || error.code === 'ERR_PREEMPTED') throw error;
    await undo(deps, await assertOurs(deps, reserved), trigger, error);
    throw error;
  }
}

/**
 * The credential as it is now, if this registration may still go on: ERR_PREEMPTED where an emergency has taken over
 * since (its secret and users are no longer ours to touch), ERR_CONFLICT where another attempt has completed it.
 */
async function assertOurs(deps: EngineDeps, reserved: Credential): Promise<Credential> {
  const now = await loadCredential(deps, reserved.id);
  if (now.epoch !== reserved.epoch || now.incident?.id !== reserved.incident?.id) {
    throw new RekeyError('ERR_PREEMPTED', `an emergency has taken over ${reserved.name}`, {
      remedy: 'look at the emergency; apply again once it has ended',
    });
  }
  if (now.status !== reserved.status) {
    throw new RekeyError('ERR_CONFLICT', `another attempt has registered ${reserved.name} meanwhile`, {
      remedy: 'apply again',
    });
  }
  return now;
}

/** Stores something about a registration under way; never past an emergency. */
function attachOurs(
  deps: EngineDeps,
  reserved: Credential,
  change: Partial<Credential>,
): Promise<Credential> {
  return untilCommitted(async () => deps.ledger.attach({ ...(await assertOurs(deps, reserved)), ...change }));
}

async function undo(
  deps: EngineDeps,
  reserved: Credential,
  trigger: Trigger,
  failure: Pick<RekeyError, 'code' | 'message'>,
): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, reserved);
  // From here on an emergency finds no secret that it could replace in, so that none is taken from under it.
  const { secretArn: _gone, ...bare } = await assertOurs(deps, reserved);
  const credential = await deps.ledger.attach(bare);
  for (const handle of (await provider.list?.(target, ctx)) ?? []) {
    if (handle.token === credential.id) await provider.revoke(target, handle, { endSessions: true }, ctx);
  }
  const found = await deps.vault.describe(credential.secretName);
  if (found?.tags[TAG.credential] === credential.id) await deps.vault.discard(found.arn);
  await deps.ledger.release(
    await deps.ledger.commit({
      before: credential,
      after: credential,
      records: [
        {
          action: 'registration-undone',
          time: toInstant(deps.clock()),
          trigger,
          evidence: { code: failure.code, message: failure.message },
        },
      ],
    }),
  );
}

async function draftOf(
  deps: EngineDeps,
  options: RegisterOptions,
  declaration: CredentialEntry,
): Promise<Draft> {
  const provider = await deps.providerFor(declaration.type, declaration.provider);
  const holders = holdersOf(declaration);
  const target = provider.target(declaration.target);
  if (options.stage !== 'local') assertForeignHost(target);
  const targetIdentity = provider.identity?.(target);
  return {
    ...options.home,
    name: declaration.name,
    type: declaration.type,
    provider: declaration.provider,
    secretName: declaration.secret,
    target,
    ...(targetIdentity === undefined ? {} : { targetIdentity }),
    adminSecret: declaration.admin,
    policy: resolvePolicy(declaration.type, policyInput(declaration), holders, deps.clock(), options.limits),
    mode: modeOf(declaration),
    holders,
  };
}

/** Refuses a secret that exists already, unless an interrupted registration of ours has made it. */
async function assertFree(deps: EngineDeps, draft: Draft, ownId: string | undefined): Promise<void> {
  const holder = await deps.ledger.idBySecret(draft.secretName);
  if (holder !== undefined && holder !== ownId) {
    throw new RekeyError(
      'ERR_SECRET_EXISTS',
      `the secret ${draft.secretName} belongs to another credential`,
      {
        field: 'secret',
        remedy: 'declare another secret name',
      },
    );
  }
  const found = await deps.vault.describe(draft.secretName);
  if (found === undefined || (ownId !== undefined && found.tags[TAG.credential] === ownId)) return;
  throw new RekeyError('ERR_SECRET_EXISTS', `a secret named ${draft.secretName} exists already`, {
    field: 'secret',
    remedy: 'declare another name; Rekey creates the secret itself and never overwrites one',
  });
}

async function preflight(deps: EngineDeps, draft: Draft): Promise<void> {
  const provider = await deps.providerFor(draft.type, draft.provider);
  try {
    await provider.preflight(draft.target, {
      clock: deps.clock,
      admin: () => deps.readAdmin(draft.adminSecret),
    });
  } catch (error) {
    if (!isRekeyError(error)) throw error;
    throw new RekeyError(error.code, error.message, {
      field: error.field ?? 'target',
      remedy:
        error.remedy ?? 'check the address, the network path from Rekey’s functions and the admin secret',
      cause: error,
    });
  }
}

function reserve(deps: EngineDeps, draft: Draft, trigger: Trigger, generation = 1): Promise<Credential> {
  const now = toInstant(deps.clock());
  return deps.ledger.create(
    {
      ...draft,
      id: deps.newId(),
      status: 'registering',
      live: [],
      generation,
      version: 0,
      epoch: 0,
      seq: 0,
      chain: GENESIS,
      registeredAt: now,
      updatedAt: now,
    },
    { action: 'registration-intended', time: now, trigger, evidence: { declared: declared(draft) } },
  );
}

/** Issues the first credential, creates the secret and configures its rotation. Every line may run twice. */
async function provision(
  deps: EngineDeps,
  options: RegisterOptions,
  credential: Credential,
  trigger: Trigger,
): Promise<Credential> {
  const { provider, target, ctx } = await upstream(deps, credential);
  // The credential's id is a UUID, hence a valid token, and the same at every repetition.
  const token = credential.id;
  const issued = await issueFirst(deps, credential);
  const made = await deps.vault.create({
    name: credential.secretName,
    token,
    text: provider.serialize(issued.material),
    description: `${credential.provider} credential ${credential.name}, rotated by Rekey`,
    tags: { [TAG.type]: credential.type, [TAG.stage]: options.stage, [TAG.credential]: credential.id },
    ...(options.secretsKey === undefined ? {} : { kmsKeyId: options.secretsKey }),
  });
  const text = await deps.vault.read(credential.secretName, { versionId: token });
  if (text === undefined) {
    throw new RekeyError(
      'ERR_SECRET_EXISTS',
      `the secret ${credential.secretName} was created by somebody else`,
      {
        field: 'secret',
        remedy: 'declare another secret name and apply again',
      },
    );
  }
  const material = provider.material(text);
  provider.assertBelongs(target, issued.handle, material);
  // An emergency must find what is about to work; one that came before refuses this.
  await attachOurs(deps, credential, { live: [issued.handle] });
  try {
    await provider.activate?.(target, token, { handle: issued.handle, material }, ctx);
    await assertOurs(deps, credential);
    await provider.verify(target, material, ctx);
    return await complete(deps, options, credential, trigger, { issued, material, made });
  } catch (error) {
    // What failed may have failed by an emergency: whoever brought the login to life ends it.
    if (isRekeyError(error)) {
      const preempted = isRekeyError(error, 'ERR_PREEMPTED') ? error : await preemption(deps, credential);
      if (preempted !== undefined) {
        await provider.revoke(target, issued.handle, { endSessions: true }, ctx);
        throw preempted;
      }
    }
    throw error;
  }
}

/** The error that says so, where an emergency has taken over. */
async function preemption(deps: EngineDeps, reserved: Credential): Promise<RekeyError | undefined> {
  try {
    await assertOurs(deps, reserved);
  } catch (error) {
    if (isRekeyError(error, 'ERR_PREEMPTED')) return error;
  }
  return undefined;
}

/** The credential works: its secret is recorded, scheduled, and registered. */
async function complete(
  deps: EngineDeps,
  options: RegisterOptions,
  credential: Credential,
  trigger: Trigger,
  { issued, material, made }: Provisioned,
): Promise<Credential> {
  const { provider } = await upstream(deps, credential);
  const arn =
    made.outcome === 'created' ? made.arn : ((await deps.vault.describe(credential.secretName))?.arn ?? '');
  const key: Key = {
    handle: issued.handle,
    versionId: credential.id,
    fingerprint: fingerprint(provider.secretPart(material)),
    issuedAt: toInstant(deps.clock()),
  };
  // The function that Secrets Manager tests next finds the credential by its secret, so the ARN is recorded before.
  const located = await untilCommitted(async () => {
    const before = await assertOurs(deps, credential);
    return before.secretArn === arn ? before : deps.ledger.attach({ ...before, secretArn: arn });
  });
  const days = backstopDays(credential);
  await deps.vault.configureRotation(arn, options.rotationFunction(credential.type), days);
  return deps.ledger.commit({
    before: located,
    after: { ...located, status: 'active', current: key, live: [key.handle], backstopDays: days },
    records: [
      {
        action: 'registered',
        time: toInstant(deps.clock()),
        trigger,
        newFingerprint: key.fingerprint,
        newHandle: describeHandle(key.handle),
        holders: credential.holders.map((holder) => holder.name),
        evidence: { secret: credential.secretName, mode: credential.mode },
      },
    ],
  });
}

/**
 * The first credential. Where an earlier registration of the same users has left its generation at the upstream (undone,
 * or taken out of Rekey), this one counts on from the time, which no number of rotations can have reached.
 */
async function issueFirst(deps: EngineDeps, credential: Credential): Promise<Issued<unknown>> {
  const { provider, target, ctx } = await upstream(deps, credential);
  const issue = (generation: number) => provider.issue(target, credential.id, { ...ctx, generation });
  try {
    return await issue(credential.generation);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_TOMBSTONED', 'ERR_CONFLICT')) throw error;
    const generation = Math.floor(deps.clock() / 1000);
    await attachOurs(deps, credential, { generation });
    return issue(generation);
  }
}

/**
 * The service's own schedule is the backstop: the policy's interval less a day (hard decision 11), so that it fires
 * only where nobody rotated before.
 */
function backstopDays(credential: Pick<Credential, 'policy'>): number {
  const days = Math.floor(credential.policy.intervalSeconds / 86_400) - 1;
  return Math.min(MAX_INTERVAL_DAYS, Math.max(1, days));
}

async function update(
  deps: EngineDeps,
  options: RegisterOptions,
  existing: Credential,
  draft: Draft,
  trigger: Trigger,
  dryRun: boolean,
): Promise<RegisterAnswer> {
  const changes = diffDeclared(existing, draft);
  const fixed = changes.find(isFixed);
  if (fixed !== undefined) {
    throw new RekeyError('ERR_DECLARATION', `${fixed.field} of ${existing.name} can't be changed`, {
      field: fixed.field,
      remedy: 'declare a new credential under another name and move its holders there',
    });
  }
  if (changes.length === 0) {
    // What an earlier attempt has declared but could not schedule any more.
    const credential = dryRun ? existing : await schedule(deps, options, existing);
    return { outcome: 'unchanged', changes, credential };
  }
  if (draft.adminSecret !== existing.adminSecret) await preflight(deps, draft);
  if (dryRun) return { outcome: 'updated', changes, credential: existing };
  const credential = await redeclare(deps, () => loadCredential(deps, existing.id), draft, trigger, changes);
  return { outcome: 'updated', changes, credential: await schedule(deps, options, credential) };
}

/** What can't change once a credential is registered. */
function isFixed({ field }: FieldChange): boolean {
  return /^(type|provider|secret|target)(\.|$)/.test(field);
}

/** Gives Secrets Manager the schedule that follows from the policy, where it has another. */
async function schedule(
  deps: EngineDeps,
  options: RegisterOptions,
  credential: Credential,
): Promise<Credential> {
  const days = backstopDays(credential);
  if (credential.backstopDays === days || credential.secretArn === undefined) return credential;
  await deps.vault.configureRotation(credential.secretArn, options.rotationFunction(credential.type), days);
  return untilCommitted(async () =>
    deps.ledger.attach({ ...(await loadCredential(deps, credential.id)), backstopDays: days }),
  );
}

/** Commits what a declaration may change at any time. */
function redeclare(
  deps: EngineDeps,
  read: () => Promise<Credential>,
  draft: Draft,
  trigger: Trigger,
  changes: readonly FieldChange[],
): Promise<Credential> {
  return untilCommitted(async () => {
    const before = await read();
    return deps.ledger.commit({
      before,
      after: {
        ...before,
        policy: draft.policy,
        mode: draft.mode,
        holders: draft.holders,
        adminSecret: draft.adminSecret,
      },
      records: [
        {
          action: 'declaration-changed',
          time: toInstant(deps.clock()),
          trigger,
          holders: draft.holders.map((holder) => holder.name),
          evidence: { changes },
        },
      ],
    });
  });
}

function declared(draft: Draft): object {
  const { policy, mode, holders, secretName, target, adminSecret } = draft;
  return { policy, mode, holders, secretName, target, adminSecret };
}
