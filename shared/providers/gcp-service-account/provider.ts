import { RekeyError } from '../../domain/errors.ts';
import { accountField, asAccount, type AccountLogin } from '../google-cloud/account.ts';
import { full } from '../google-cloud/full.ts';
import { keyFileAgents, type AccountTarget } from '../google-cloud/key-file.ts';
import { LOOKS_MS, notDone } from '../google-cloud/operation.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { wrappedKey } from '../http/certificate.ts';
import { keyProvider } from '../http/keys.ts';
import { listedSoon, trueSoon } from '../http/listing.ts';
import { targetOf, upstreamId } from '../http/target.ts';
import { endsAfterInterval } from '../lifetime.ts';
import { find, keySchema, keysOf, list, pathOf, remove } from './key.ts';

/**
 * Google Cloud: user-managed keys of a service account. Rekey makes each key pair itself and uploads the public half in a
 * certificate that bears the mark: a key that Google makes has no place for one. The administrative secret is the key file of
 * another service account; `adminUrl` in it is where the IAM API isn't at its usual address.
 */
export const gcpServiceAccountProvider = keyProvider<AccountTarget, AccountLogin>({
  key: 'cloud-key/gcp-service-account',
  name: 'Google Cloud',
  ...targetOf({ project: upstreamId, serviceAccount: accountField }),
  owner: ({ project, serviceAccount }) => `${project}/${serviceAccount}`,
  ...asAccount('https://iam.googleapis.com'),
  ...keyFileAgents,

  list,
  find,

  /** Answers with the key once Google lists it: it tells its parts of a change one after another, for a minute at times. */
  endsAt: endsAfterInterval,

  async create(api, target, name, _admin, about) {
    const { certificate, privateKey: value } = await wrappedKey(name, about);
    const body = { publicKeyData: Buffer.from(certificate).toString('base64') };
    const path = `${keysOf(target)}:upload`;
    const { name: id } = await api.call({ method: 'POST', path, body, answer: keySchema, full });
    const listed = await listedSoon(LOOKS_MS, async () => list(api, target), { id, name });
    if (listed === undefined) throw notDone(id);
    if (listed.key.name !== name) throw await unmarked(api, target, id);
    for (const { id: lost } of listed.earlier) await remove(api, target, lost);
    return { id, value };
  },

  remove,
  adoption: {},

  async setActive(api, target, id, active) {
    const path = `${pathOf(target, id)}:${active ? 'enable' : 'disable'}`;
    await api.find({ method: 'POST', path, body: {}, answer: ANYTHING });
    await trueSoon(LOOKS_MS, async () => (await find(api, target, id))?.active !== !active);
  },

  goodCalls: 3,

  byHand: ({ serviceAccount }, id) =>
    [
      '# as somebody who may change the keys of the account:',
      `gcloud iam service-accounts keys disable ${id} --iam-account=${serviceAccount}`,
      `gcloud iam service-accounts keys delete ${id} --iam-account=${serviceAccount}`,
      '# Tokens that were issued before live on, an hour at most; this also ends those of the account, whatever key they came from:',
      `# gcloud iam service-accounts disable ${serviceAccount}`,
      `# Dead once this does not name it: gcloud iam service-accounts keys list --iam-account=${serviceAccount}`,
    ].join('\n'),
});

/** A key that could not be found again, were its answer lost, is none to give out. */
async function unmarked(api: Api, target: AccountTarget, id: string): Promise<RekeyError> {
  await remove(api, target, id);
  return new RekeyError('ERR_REJECTED', `Google shows ${id} with another certificate than was uploaded`, {
    field: 'target',
    remedy: 'the key was deleted; look whether the API has changed',
  });
}
