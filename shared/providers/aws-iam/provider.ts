import { CAPABILITIES } from '../../domain/capabilities.ts';
import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { shellWord } from '../../domain/shell.ts';
import { untilTaken } from '../propagation.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';
import { adoption } from './adopt.ts';
import { manualRevocation } from './by-hand.ts';
import { callerOf, orGone } from './iam.ts';
import { issueKey } from './issue.ts';
import { ACCESS_KEYS } from './kinds.ts';
import { assertBelongs, parseMaterial, serializeMaterial, type IamMaterial } from './material.ts';
import { cutSessions, spentCuts } from './sessions.ts';
import { identityOf, parseTarget, readTarget, type IamTarget } from './target.ts';
import { awsOf, endKey, userKeys } from './user.ts';

const FACTS = CAPABILITIES['cloud-key/aws-iam'];
/** A key counts as known once it was taken this often in a row: AWS tells its parts of it one after another. */
const GOOD_CALLS = 3;
const KEYS = userKeys<IamTarget>(ACCESS_KEYS, identityOf);

/**
 * Access keys of an IAM user, under the function's own role. A key carries no name: what Rekey has to find again stands in
 * tags of the user (marks.ts).
 */
export const awsIamProvider: CredentialProvider<IamTarget, IamMaterial> = {
  type: 'cloud-key',
  provider: 'aws-iam',
  overlap: FACTS.overlap,
  revocation: FACTS.revocation,
  ...KEYS.steps,
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
    const user = KEYS.of(target, ctx);
    const [policies] = await Promise.all([user.policies(), user.keys(), user.tags()]);
    return spentCuts(policies, ctx.clock()).map((policy) => ({
      field: 'target.user',
      message: `the policy ${policy} of the user ${target.user} has nothing left to cut off`,
      remedy: `aws iam delete-user-policy --user-name ${shellWord(target.user)} --policy-name ${policy}`,
    }));
  },

  async issue(target, token, ctx) {
    const { user } = target;
    const { handle, value } = await issueKey(KEYS.of(target, ctx), token, ctx);
    return {
      handle,
      material: value.map((secretAccessKey) => ({ user, accessKeyId: handle.id, secretAccessKey })),
    };
  },

  /** Waits until the new key is taken everywhere, as far as that shows: it takes seconds. */
  async activate(target, _token, { handle, material }, ctx) {
    assertBelongs(target, handle.id, material);
    await untilTaken(async () => used(target, material, ctx), {
      name: 'AWS',
      seconds: FACTS.propagationSeconds,
      times: GOOD_CALLS,
      exists: async () => KEYS.isActive(target, handle, ctx),
    });
  },

  async verify(target, material, ctx) {
    assertBelongs(target, undefined, material);
    await used(target, material, ctx);
  },

  async revoke(target, handle, { compromised = false }, ctx) {
    const { id } = handle;
    const user = KEYS.of(target, ctx);
    // First what ends it, at once; then its sessions, while the key still tells a repetition that they are to be cut.
    await user.setActive(id, false);
    if (compromised) await orGone(cutSessions(user, id, ctx.clock()));
    await endKey(user, handle);
    return KEYS.steps.deactivation(target, handle, ctx);
  },

  usageLagSeconds: FACTS.lastUsedLagSeconds,
  async usage(target, { id }, ctx) {
    const user = KEYS.of(target, ctx);
    const exists = (await orGone(user.keys()))?.some((key) => key.id === id) === true;
    return {
      lastSeen: exists ? await user.lastUsed(id) : null,
      observedAt: toInstant(ctx.clock()),
      lagSeconds: FACTS.lastUsedLagSeconds,
    };
  },

  /** The last use alone: of those before it IAM tells nothing, and nothing at all once the key is gone. */
  async meter(target, keyIds, { from, to }, ctx) {
    const user = KEYS.of(target, ctx);
    const living = ((await orGone(user.keys())) ?? []).filter(({ id }) => keyIds.includes(id));
    const uses = await Promise.all(living.map(async ({ id }) => ({ id, use: await user.lastUse(id) })));
    return {
      who: target.user,
      uses: uses.flatMap(({ id: keyId, use }) =>
        use === undefined || use.at < from || use.at > to
          ? []
          : [{ keyId, from: use.at, to: use.at, ...(use.scope === undefined ? {} : { scope: use.scope }) }],
      ),
      covers: [],
    };
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
