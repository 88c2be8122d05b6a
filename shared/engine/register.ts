import { GENESIS } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, Home, Key } from '../domain/credential.ts';
import { holdersOf, modeOf, policyInput, type CredentialEntry } from '../domain/declaration.ts';
import { diffDeclared, type FieldChange } from '../domain/declared-diff.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { resolvePolicy, type PolicyLimits } from '../domain/policy.ts';
import type { Trigger } from '../domain/rotation.ts';
import { TAG } from '../names.ts';
import type { Issued } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
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
    if (existing.status !== 'registering')
      return update(deps, options, existing, draft, trigger, request.dryRun);
  }
  await assertFree(deps, draft, existingId);
  await preflight(deps, draft);
  const changes = diffDeclared(undefined, draft);
  if (request.dryRun) return { outcome: 'registered', changes };
  const reserved =
    existingId === undefined ? await reserve(deps, draft, trigger) : await loadCredential(deps, existingId);
  const registered = await provisionOrUndo(deps, options, reserved, trigger);
  // An interrupted attempt was completed as it was declared then; what was corrected since is applied now.
  const { credential } = await update(deps, options, registered, draft, trigger, false);
  return { outcome: 'registered', changes, credential: credential ?? registered };
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
    if (isRekeyError(error) && !error.retryable) await undo(deps, reserved, trigger, error);
    throw error;
  }
}

async function undo(
  deps: EngineDeps,
  reserved: Credential,
  trigger: Trigger,
  failure: RekeyError,
): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, reserved);
  const credential = await loadCredential(deps, reserved.id);
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
  return {
    ...options.home,
    name: declaration.name,
    type: declaration.type,
    provider: declaration.provider,
    secretName: declaration.secret,
    target: provider.target(declaration.target),
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

function reserve(deps: EngineDeps, draft: Draft, trigger: Trigger): Promise<Credential> {
  const now = toInstant(deps.clock());
  return deps.ledger.create(
    {
      ...draft,
      id: deps.newId(),
      status: 'registering',
      live: [],
      generation: 1,
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
  await provider.activate?.(target, token, { handle: issued.handle, material }, ctx);
  await provider.verify(target, material, ctx);
  const arn =
    made.outcome === 'created' ? made.arn : ((await deps.vault.describe(credential.secretName))?.arn ?? '');
  const key: Key = {
    handle: issued.handle,
    versionId: token,
    fingerprint: fingerprint(provider.secretPart(material)),
    issuedAt: toInstant(deps.clock()),
  };
  // The function that Secrets Manager tests next finds the credential by its secret, so the ARN is recorded before.
  const located = await untilCommitted(async () => {
    const before = await loadCredential(deps, credential.id);
    return before.secretArn === arn ? before : deps.ledger.attach({ ...before, secretArn: arn });
  });
  await deps.vault.configureRotation(
    arn,
    options.rotationFunction(credential.type),
    backstopDays(credential),
  );
  return deps.ledger.commit({
    before: located,
    after: { ...located, status: 'active', current: key, live: [key.handle] },
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
    await untilCommitted(async () => {
      const before = await loadCredential(deps, credential.id);
      return deps.ledger.attach({ ...before, generation });
    });
    return issue(generation);
  }
}

/**
 * The service's own schedule is the backstop: the policy's interval less a day (hard decision 11), so that it fires
 * only where nobody rotated before.
 */
function backstopDays(credential: Pick<Credential, 'policy'>): number {
  return Math.max(1, Math.floor(credential.policy.intervalSeconds / 86_400) - 1);
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
  const fixed = changes.find(({ field }) => /^(type|provider|secret|target)(\.|$)/.test(field));
  if (fixed !== undefined) {
    throw new RekeyError('ERR_DECLARATION', `${fixed.field} of ${existing.name} can't be changed`, {
      field: fixed.field,
      remedy: 'declare a new credential under another name and move its holders there',
    });
  }
  if (changes.length === 0) return { outcome: 'unchanged', changes, credential: existing };
  if (draft.adminSecret !== existing.adminSecret) await preflight(deps, draft);
  if (dryRun) return { outcome: 'updated', changes, credential: existing };
  const credential = await untilCommitted(async () => {
    const before = await loadCredential(deps, existing.id);
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
  if (backstopDays(credential) !== backstopDays(existing) && credential.secretArn !== undefined) {
    const rotator = options.rotationFunction(credential.type);
    await deps.vault.configureRotation(credential.secretArn, rotator, backstopDays(credential));
  }
  return { outcome: 'updated', changes, credential };
}

function declared(draft: Draft): object {
  const { policy, mode, holders, secretName, target, adminSecret } = draft;
  return { policy, mode, holders, secretName, target, adminSecret };
}
