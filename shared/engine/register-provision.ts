import { backstopDays } from '../domain/calendar.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { redeclared } from '../domain/knowledge.ts';
import type { Trigger } from '../domain/rotation.ts';
import { TAG } from '../names.ts';
import type { Issued } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import { endOf } from './issue.ts';
import { endOrphan } from './end-orphan.ts';
import { placeOf } from './place.ts';
import type { RegisterOptions } from './register-draft.ts';
import { assertOurs, attachOurs, undo } from './register-reservation.ts';
import { describeHandle, untilCommitted, upstream } from './state.ts';

/** What has been issued and put into the vault. */
interface Provisioned {
  readonly key: Key;
  readonly made: Awaited<ReturnType<EngineDeps['vault']['create']>>;
}

/** Makes the reserved credential; a refusal that is final leaves nothing of it. */
export async function provisionOrUndo(
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

/** Issues the first credential, creates the secret and configures its rotation. Every line may run twice. */
async function provision(
  deps: EngineDeps,
  options: RegisterOptions,
  credential: Credential,
  trigger: Trigger,
): Promise<Credential> {
  const at = await upstream(deps, credential);
  const { provider, target, ctx } = at;
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
  const key: Key = {
    handle: issued.handle,
    versionId: token,
    fingerprint: fingerprint(provider.secretPart(material)),
    issuedAt: toInstant(deps.clock()),
    ...endOf(provider, target, { policy: credential.policy, from: credential.registeredAt, material }),
  };
  // An emergency and a leak must find what is about to work; an emergency that came before refuses this.
  await attachOurs(deps, credential, { live: [key.handle] }, [key]);
  try {
    await provider.activate?.(target, token, { handle: issued.handle, material }, ctx);
    await assertOurs(deps, credential);
    await provider.verify(target, material, ctx);
    return await complete(deps, options, credential, trigger, { key, made });
  } catch (error) {
    // What failed may have failed by an emergency: whoever brought the login to life ends it.
    if (isRekeyError(error)) {
      const preempted = isRekeyError(error, 'ERR_PREEMPTED') ? error : await preemption(deps, credential);
      if (preempted !== undefined) {
        await endOrphan(at, issued.handle);
        throw preempted;
      }
    }
    throw error;
  }
}

/**
 * The first credential. Where an earlier registration of the same users has left its generation at the upstream (undone,
 * or taken out of Rekey), this one counts on from the time, which no number of rotations can have reached.
 */
async function issueFirst(deps: EngineDeps, credential: Credential): Promise<Issued<unknown>> {
  const { provider, target, ctx } = await upstream(deps, credential);
  const { intervalSeconds } = credential.policy;
  const issue = (generation: number) =>
    provider.issue(target, credential.id, { ...ctx, generation, intervalSeconds });
  try {
    return await issue(credential.generation);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_TOMBSTONED', 'ERR_CONFLICT')) throw error;
    const generation = Math.floor(deps.clock() / 1000);
    await attachOurs(deps, credential, { generation });
    return issue(generation);
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
  { key, made }: Provisioned,
): Promise<Credential> {
  const arn =
    made.outcome === 'created' ? made.arn : ((await deps.vault.describe(credential.secretName))?.arn ?? '');
  // The function that Secrets Manager tests next finds the credential by its secret, so the ARN is recorded before.
  const located = await untilCommitted(async () => {
    const before = await assertOurs(deps, credential);
    return before.secretArn === arn ? before : deps.ledger.attach({ ...before, secretArn: arn });
  });
  const days = backstopDays(credential);
  await deps.vault.configureRotation(arn, options.rotationFunction(credential.type), days);
  const place = await placeOf(await upstream(deps, credential), key.handle);
  return deps.ledger.commit({
    before: located,
    after: {
      ...located,
      status: 'active',
      current: key,
      live: [key.handle],
      backstopDays: days,
      knownBy: redeclared(located.knownBy, located.knownBy, key),
    },
    records: [
      {
        action: 'registered',
        time: toInstant(deps.clock()),
        trigger,
        newFingerprint: key.fingerprint,
        newHandle: describeHandle(key.handle),
        holders: credential.holders.map((holder) => holder.name),
        evidence: { secret: credential.secretName, mode: credential.mode, ...place },
      },
    ],
  });
}
