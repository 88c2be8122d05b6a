import { CAPABILITIES } from '../../domain/capabilities.ts';
import { toInstant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { pause } from '../../http/exchange.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';
import { adoption } from './adopt.ts';
import { manualRevocation } from './by-hand.ts';
import { callerOf, orGone, type IamUser } from './iam.ts';
import { issue } from './issue.ts';
import { assertBelongs, parseMaterial, serializeMaterial, type IamMaterial } from './material.ts';
import { cutSessions, spentCuts } from './sessions.ts';
import { identityOf, parseTarget, readTarget, type IamTarget } from './target.ts';
import { awsOf, endKey, look, userOf } from './user.ts';

const FACTS = CAPABILITIES['cloud-key/aws-iam'];
/** A key counts as known once it was taken this often in a row: AWS tells its parts of it one after another. */
const GOOD_CALLS = 3;
/** A listing may not show yet what was just made: so often in a row a key is missing before it counts as gone. */
const MISSING_LOOKS = 3;

/**
 * Access keys of an IAM user, under the function's own role. A key carries no name: what Rekey has to find again stands in
 * tags of the user (marks.ts).
 */
export const awsIamProvider: CredentialProvider<IamTarget, IamMaterial> = {
  type: 'cloud-key',
  provider: 'aws-iam',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,
  needsAdmin: FACTS.needsAdmin,
  target: parseTarget,
  storedTarget: readTarget,
  identity: identityOf,
  material: parseMaterial,
  serialize: serializeMaterial,
  secretPart: (material) => material.map(({ secretAccessKey }) => secretAccessKey),
  assertBelongs: (target, { id }, material) => assertBelongs(target, id, material),
  manualRevocation,
  adoption,

  async preflight(target, ctx) {
    const user = userOf(target, ctx);
    const [policies] = await Promise.all([user.policies(), user.keys(), user.tags()]);
    return spentCuts(policies, ctx.clock()).map((policy) => ({
      field: 'target.user',
      message: `the policy ${policy} of the user ${target.user} has nothing left to cut off`,
      remedy: `aws iam delete-user-policy --user-name ${target.user} --policy-name ${policy}`,
    }));
  },

  issue,

  /** Waits until the new key is taken everywhere, as far as that shows: it takes seconds. */
  async activate(target, _token, { handle, material }, ctx) {
    assertBelongs(target, handle.id, material);
    const until = performance.now() + FACTS.propagationSeconds * 1000;
    let missing = 0;
    for (let good = 0, waitMs = 100; ;) {
      try {
        await used(target, material, ctx);
        if (++good === GOOD_CALLS) return;
      } catch (error) {
        if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
        missing = (await isLive(target, handle, ctx)) ? 0 : missing + 1;
        if (missing === MISSING_LOOKS) throw gone(target, error);
        good = 0;
        waitMs = Math.min(2 * waitMs, 2000);
        if (performance.now() + waitMs > until) throw notYet(error);
      }
      await pause(waitMs);
    }
  },

  async verify(target, material, ctx) {
    assertBelongs(target, undefined, material);
    await used(target, material, ctx);
  },

  async revoke(target, handle, { compromised = false }, ctx) {
    const { id } = handle;
    const user = userOf(target, ctx);
    // First what ends it, at once; then its sessions, while the key still tells a repetition that they are to be cut.
    await user.setActive(id, false);
    if (compromised) await orGone(cutSessions(user, id, ctx.clock()));
    await endKey(user, handle);
    return deactivation(user, id, ctx);
  },

  deactivation: async (target, { id }, ctx) => deactivation(userOf(target, ctx), id, ctx),

  async list(target, ctx) {
    const { own } = (await orGone(look(userOf(target, ctx)))) ?? { own: [] };
    return own.filter(({ key }) => key.active).map(({ handle }) => handle);
  },

  usageLagSeconds: FACTS.lastUsedLagSeconds,
  async usage(target, { id }, ctx) {
    const user = userOf(target, ctx);
    const exists = (await orGone(user.keys()))?.some((key) => key.id === id) === true;
    return {
      lastSeen: exists ? await user.lastUsed(id) : null,
      observedAt: toInstant(ctx.clock()),
      lagSeconds: FACTS.lastUsedLagSeconds,
    };
  },

  suspension: {
    /** Of something that is gone there is nothing to suspend. */
    async suspend(target, { id }, ctx) {
      await userOf(target, ctx).setActive(id, false);
    },
    async restore(target, { id }, ctx) {
      if (await userOf(target, ctx).setActive(id, true)) return;
      throw new RekeyError('ERR_POINT_OF_NO_RETURN', `${id} can't be restored: it is deleted`, {
        remedy: 'start a rotation; another key takes its place',
      });
    },
  },
};

/** Uses the key, and holds what AWS says of it against the target. */
async function used(target: IamTarget, material: Redacted<IamMaterial>, ctx: ProviderContext): Promise<void> {
  const { arn, account } = await callerOf(awsOf(ctx), material.reveal());
  const name = /^arn:[\w-]+:iam::\d{12}:user\/(?:[^:]*\/)?([^/:]+)$/.exec(arn)?.[1];
  const isUsers = name !== undefined && identityOf({ user: name }) === identityOf(target);
  if (isUsers && (target.account === undefined || target.account === account)) return;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', 'the key in the secret is that of another user or account', {
    field: isUsers ? 'target.account' : 'target.user',
    remedy: 'put the key of the declared user into the secret, or declare the user that the key is of',
  });
}

async function isLive(target: IamTarget, { id }: CredentialHandle, ctx: ProviderContext): Promise<boolean> {
  return (await userOf(target, ctx).keys()).some((key) => key.id === id && key.active);
}

async function deactivation(user: IamUser, id: string, { clock }: ProviderContext): Promise<Deactivation> {
  const found = (await orGone(user.keys()))?.find((key) => key.id === id);
  return {
    confirmed: found?.active !== true,
    method: 'status-read',
    observedAt: toInstant(clock()),
    detail: found === undefined ? `${id} is gone` : `${id} is ${found.active ? 'active' : 'inactive'}`,
  };
}

function gone({ user }: IamTarget, cause: unknown): RekeyError {
  return new RekeyError('ERR_REJECTED', `the new key of the user ${user} is inactive or gone`, {
    remedy: 'somebody has ended it at IAM; start a new rotation',
    cause,
  });
}

function notYet(cause: unknown): RekeyError {
  return new RekeyError('ERR_NOT_PROPAGATED', 'AWS does not take the new key everywhere yet', {
    remedy: 'it is tried again',
    cause,
  });
}
