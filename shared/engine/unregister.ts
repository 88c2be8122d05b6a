import type { AuditDraft } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, CredentialHandle } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Trigger } from '../domain/rotation.ts';
import { TAG } from '../names.ts';
import type { SecretDescription } from '../ports/vault.ts';
import { missingTags } from './adopt-examine.ts';
import type { EngineDeps } from './deps.ts';
import { reached } from './incident.ts';
import type { RegisterOptions } from './register-draft.ts';
import { assertActive, underWay } from './start.ts';
import { describeHandle, untilCommitted, without } from './state.ts';

/** A request to let go of a credential. */
export interface UnregisterRequest {
  /** Name or id. By its id it is known even after the name was given back. */
  readonly name: string;
  readonly trigger: Trigger;
  readonly dryRun: boolean;
  /** Execution of its newest emergency, where whoever asks has seen that it runs no more. */
  readonly ended?: string | undefined;
  /** Also where nobody could confirm that an emergency has ended its logins; changes nothing elsewhere. */
  readonly unconfirmed?: boolean | undefined;
}

/** What became of it. */
export interface UnregisterAnswer {
  readonly outcome: 'unregistered' | 'unchanged';
  readonly credential: Credential;
  /** Logins beside the current one that go on working, as mode overlap has kept them. */
  readonly alive: readonly CredentialHandle[];
  /** Logins that an emergency was to end, and that may go on working. Absent in what older versions answer. */
  readonly unconfirmed?: readonly CredentialHandle[];
}

type Options = Pick<RegisterOptions, 'rotationFunction' | 'stage'>;

/**
 * Lets go of a credential: from the commit on no part of Rekey knows it, then the secret loses schedule, dangling label
 * and the tags that Rekey set, then its names are free again. Value, login and secret stay as they are, and the audit
 * chain keeps its head. The name stays reserved until the end, so that a repetition completes what was interrupted.
 * @throws RekeyError ERR_ROTATION_UNDER_WAY, ERR_WINDOW_OPEN, ERR_MODE or ERR_CONFLICT, naming what is under way, a suspension
 * included.
 */
export async function unregister(
  deps: EngineDeps,
  options: Options,
  request: UnregisterRequest,
): Promise<UnregisterAnswer> {
  const id = (await deps.ledger.idByName(request.name)) ?? request.name;
  const left = await untilCommitted(() => leave(deps, options, id, request));
  const { outcome, credential } = left;
  const { current, live } = credential;
  const unconfirmed = unconfirmedOf(credential);
  const alive = current === undefined || unconfirmed.length > 0 ? [] : without(live, current.handle);
  if (!request.dryRun && outcome !== 'unchanged')
    await untilCommitted(() => complete(deps, options, credential.id, request.trigger));
  return { outcome, credential, alive, unconfirmed };
}

/** The refusal to register a name whose former credential is half let go of. */
export function unregisterUnfinished(name: string): RekeyError {
  return new RekeyError('ERR_MODE', `the unregistering of the former ${name} was interrupted`, {
    field: 'name',
    remedy: `\`rekey unregister ${name}\` completes it; then apply again`,
  });
}

/** The point of no return: an emergency that comes first keeps the credential; one that comes later finds none. */
async function leave(
  deps: EngineDeps,
  options: Options,
  id: string,
  { name, trigger, dryRun, ended, unconfirmed: accepted = false }: UnregisterRequest,
): Promise<Pick<UnregisterAnswer, 'outcome' | 'credential'>> {
  const before = await deps.ledger.credential(id);
  if (before === undefined) {
    const head = await deps.ledger.unregistered(id);
    if (head === undefined) {
      throw new RekeyError('ERR_NOT_FOUND', `there is no credential "${name}"`, {
        field: 'name',
        remedy: '`rekey list` names them all; one that was unregistered is known by its id only',
      });
    }
    const done = (await deps.ledger.idByName(head.name)) !== id;
    return { outcome: done ? 'unchanged' : 'unregistered', credential: head };
  }
  await assertMayLeave(deps, before, { ended, accepted });
  await ownSecret(deps, options, before);
  if (dryRun) return { outcome: 'unregistered', credential: before };
  const { current, live, secretName, mode } = before;
  const unconfirmed = unconfirmedOf(before).map(describeHandle);
  const credential = await deps.ledger.commit({
    before,
    after: { ...before, status: 'unregistered' },
    records: [
      draft(deps, before, 'unregister-intended', trigger, {
        secret: secretName,
        mode,
        ...(unconfirmed.length > 0 ? { unconfirmed } : { keepsWorking: live.map(describeHandle) }),
        current: current && describeHandle(current.handle),
      }),
    ],
  });
  return { outcome: 'unregistered', credential };
}

async function assertMayLeave(
  deps: EngineDeps,
  credential: Credential,
  { ended, accepted }: { ended: string | undefined; accepted: boolean },
): Promise<void> {
  const { id, name, status, adoption, activeRotation } = credential;
  if (isInEmergency(credential, ended)) {
    throw new RekeyError('ERR_MODE', `an emergency of ${name} is under way`, {
      field: 'status',
      remedy: `wait for its end: \`rekey show ${name}\` has its state`,
    });
  }
  const active = activeRotation === undefined ? undefined : await deps.ledger.rotation(id, activeRotation);
  // Halted by an emergency that is over: nothing more comes, and nothing of it may work unless that is accepted.
  if (status !== 'halted') assertActive(credential);
  else if (active !== undefined) throw replacementLeft(credential);
  else if (!accepted && unconfirmedOf(credential).length > 0) throw notRevoked(credential);
  // One that an emergency has halted goes no further, and isn't undone either.
  if (adoption === 'intended' && status !== 'halted') {
    throw new RekeyError('ERR_CONFLICT', `a take-over of ${name} is under way`, {
      field: 'mode',
      remedy: 'apply its entry again, which completes it, or in mode observe, which undoes it',
    });
  }
  if (active !== undefined) throw underWay(credential, active);
  if (credential.suspended !== undefined) throw suspendedMeanwhile(credential, credential.suspended);
}

/** Let go of now, nobody would restore it at its upstream any more. */
function suspendedMeanwhile(
  { name }: Credential,
  suspended: NonNullable<Credential['suspended']>,
): RekeyError {
  const signals = [...new Set(suspended.map(({ signal }) => signal))];
  return new RekeyError('ERR_MODE', `${name} is suspended: signal ${signals.join(', ')} waits for people`, {
    field: 'suspended',
    remedy:
      `\`rekey incident deny ${signals[0]} --reason …\` restores it, \`approve\` revokes it for good; then unregister. ` +
      `Where neither comes to an end, \`rekey revoke ${name}\` does`,
  });
}

/** One that has begun since whoever asks has looked is not known to be over. What older versions wrote names none. */
function isInEmergency({ status, incident }: Credential, ended: string | undefined): boolean {
  if (incident === undefined || incident.stage === 'resumed') return false;
  return incident.execution === undefined ? status === 'halted' : incident.execution !== ended;
}

/** What may work though its emergency was to leave nothing that does; also of a head that was let go of in that state. */
function unconfirmedOf({ live, incident }: Credential): readonly CredentialHandle[] {
  return incident === undefined || reached(incident, 'replaced') ? [] : live;
}

/** What an emergency has issued and never brought into use may work, and nobody goes on with it. */
function replacementLeft(credential: Credential): RekeyError {
  const { name } = credential;
  return new RekeyError('ERR_MODE', `an emergency of ${name} has left its replacement half done`, {
    field: 'status',
    remedy: `${againWithoutReplacement(credential)}, which ends that; then unregister`,
  });
}

function againWithoutReplacement({ name, incident }: Credential): string {
  return `run it again without a replacement: rekey revoke ${name} --incident ${incident?.id ?? '…'} --no-replace --reason …`;
}

/** Let go of now, nobody would be told any more that what was to die may work. */
function notRevoked(credential: Credential): RekeyError {
  const { name, live } = credential;
  return new RekeyError(
    'ERR_MODE',
    `an emergency was to end ${live.map(describeHandle).join(', ')} of ${name}, and nobody has confirmed that`,
    {
      field: 'status',
      remedy:
        `${againWithoutReplacement(credential)}; then unregister. ` +
        'Where its upstream is gone for good, `rekey unregister --unconfirmed` lets go of it all the same and records that',
    },
  );
}

/** Takes off the secret what Rekey has put there, then gives the names back. Every line may run twice. */
async function complete(deps: EngineDeps, options: Options, id: string, trigger: Trigger): Promise<void> {
  const credential = await deps.ledger.unregistered(id);
  if (credential === undefined || (await deps.ledger.idByName(credential.name)) !== id) return;
  const secret = await ownSecret(deps, options, credential);
  if (secret !== undefined) {
    if (isScheduled(secret, options, credential)) await deps.vault.cancelRotation(secret.arn);
    if (secret.tags[TAG.credential] === id) {
      // Also beside AWSCURRENT: the next value put by hand would leave it dangling, and block every other rotation.
      for (const [version, stages] of Object.entries(secret.versions))
        if (stages.includes('AWSPENDING')) await deps.vault.stripPending(secret.arn, version);
      await deps.vault.untag(secret.arn, tagsSet(credential));
    }
  }
  const unconfirmed = unconfirmedOf(credential).map(describeHandle);
  await deps.ledger.release(
    credential,
    draft(deps, credential, 'unregistered', trigger, {
      secret: credential.secretName,
      kept: true,
      ...(unconfirmed.length > 0 ? { unconfirmed } : {}),
    }),
  );
}

/** The secret, where Rekey has put something on it; nothing of what is only observed, or gone. */
async function ownSecret(
  deps: EngineDeps,
  options: Options,
  credential: Credential,
): Promise<SecretDescription | undefined> {
  const { secretArn, adoption, name } = credential;
  if (secretArn === undefined || adoption === 'observed') return undefined;
  const secret = await deps.vault.describe(secretArn);
  if (secret === undefined || secret.deleted === true) return undefined;
  const carries = secret.tags[TAG.credential] === credential.id || isScheduled(secret, options, credential);
  const missing = missingTags(secret, credential, options);
  if (!carries || missing.length === 0) return secret;
  throw new RekeyError('ERR_ADOPTION', `the secret of ${name} is not tagged for this deployment any more`, {
    field: 'secret',
    remedy: `tag it again, so that Rekey may take off what it has set: ${missing.map(([key, value]) => `Key=${key},Value=${value}`).join(' ')}`,
  });
}

function isScheduled(
  { rotationEnabled, rotationFunction }: SecretDescription,
  options: Options,
  { type }: Credential,
): boolean {
  return rotationEnabled && rotationFunction === options.rotationFunction(type);
}

/** Those of an adopted secret by which its owner let Rekey at it are the owner's to take off. */
function tagsSet({ adoption }: Credential): string[] {
  return adoption === undefined ? [TAG.type, TAG.stage, TAG.credential] : [TAG.credential];
}

function draft(
  deps: EngineDeps,
  { holders, current }: Credential,
  action: 'unregister-intended' | 'unregistered',
  trigger: Trigger,
  evidence: object,
): AuditDraft {
  return {
    action,
    time: toInstant(deps.clock()),
    trigger,
    holders: holders.map((holder) => holder.name),
    ...(current === undefined
      ? {}
      : { oldFingerprint: current.fingerprint, oldHandle: describeHandle(current.handle) }),
    evidence,
  };
}
