import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { pause } from '../../http/exchange.ts';
import { full } from '../google/full.ts';
import { keyFileSchema, tokenOf } from '../google/login.ts';
import { LOOKS_MS, notDone } from '../google/operation.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { keyProvider, type Making, type UpstreamKey } from '../http/keys.ts';
import { targetOf, upstreamId } from '../http/target.ts';
import { wrappedKey } from './certificate.ts';
import { find, idOf, keySchema, keysOf, list, pathOf, remove, shows, type AccountTarget } from './key.ts';

const LOGIN = 'https://oauth2.googleapis.com';
/** How RFC 5280 writes that there is no end. */
const NEVER = '9999-12-31T23:59:59Z';

/**
 * Google Cloud: user-managed keys of a service account. Rekey makes each key pair itself and uploads the public half in a
 * certificate that bears the mark: a key that Google makes has no place for one. The administrative secret is the key file of
 * another service account; `adminUrl` in it is where the IAM API isn't at its usual address.
 */
export const gcpServiceAccountProvider = keyProvider<
  AccountTarget,
  z.infer<typeof keyFileSchema> & { adminUrl?: string | undefined }
>({
  key: 'cloud-key/gcp-service-account',
  name: 'Google Cloud',
  baseUrl: LOGIN,
  ...targetOf({
    project: upstreamId,
    serviceAccount: z.email('must be the e-mail address of a service account'),
  }),
  owner: ({ project, serviceAccount }) => `${project}/${serviceAccount}`,
  form: {
    key: 'private_key',
    id: 'private_key_id',
    beside: ['type', 'project_id', 'client_email', 'token_uri'],
    of: (target) => ({
      type: 'service_account',
      project_id: target.project,
      client_email: target.serviceAccount,
      token_uri: tokenUriOf(target),
    }),
  },
  admin: keyFileSchema.extend({ adminUrl: z.string().min(1).optional() }),
  adminUrl: ({ adminUrl = 'https://iam.googleapis.com' }) => adminUrl,
  adminHeaders: async (admin, _target, open) => ({
    authorization: `Bearer ${await tokenOf(admin, (baseUrl) => open(baseUrl, 'admin.token_uri'), 'admin')}`,
  }),
  agentHeaders: () => ({}),

  list,
  find,

  /** Answers with the key once Google lists it: it tells its parts of a change one after another, for a minute at times. */
  async create(api, target, name, _admin, about) {
    const { certificate, privateKey: value } = await wrappedKey(name, lifeOf(about));
    const publicKeyData = Buffer.from(certificate).toString('base64');
    const path = `${keysOf(target)}:upload`;
    const id = idOf(
      await api.call({ method: 'POST', path, body: { publicKeyData }, answer: keySchema, full }),
    );
    for (const waitMs of LOOKS_MS) {
      const keys = await list(api, target);
      const own = keys.find((key) => key.id === id);
      if (own !== undefined) {
        if (own.name !== name) throw await unmarked(api, target, id);
        // Of an attempt whose answer was lost, and which was not listed yet when this one began.
        for (const key of keys)
          if (key.name === name && isBefore(key, own)) await remove(api, target, key.id);
        return { id, value };
      }
      await pause(waitMs);
    }
    throw notDone(id);
  },

  remove,
  adoption: {},

  async setActive(api, target, id, active) {
    const path = `${pathOf(target, id)}:${active ? 'enable' : 'disable'}`;
    await api.find({ method: 'POST', path, body: {}, answer: ANYTHING });
    await shows(api, target, id, (key) => key?.active !== !active);
  },

  goodCalls: 3,
  /** Asks for a token as the account. */
  async test(api, target, { id, value }) {
    const { serviceAccount: client_email } = target;
    const key = { client_email, private_key: value, private_key_id: id, token_uri: tokenUriOf(target) };
    await tokenOf(key, () => api, 'secret');
  },

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

/** It ends as the policy's interval has it; where that isn't known, never. */
function lifeOf({ now, endsAt }: Making): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now), notAfter: new Date(endsAt ?? NEVER) };
}

/** Of two attempts under one token the later one stays. */
function isBefore(one: UpstreamKey, other: UpstreamKey): boolean {
  const [a, b] = [one, other].map(({ createdAt = '', id }) => `${createdAt} ${id}`) as [string, string];
  return a < b;
}

function tokenUriOf({ baseUrl = LOGIN }: AccountTarget): string {
  return new URL('/token', baseUrl).href;
}
