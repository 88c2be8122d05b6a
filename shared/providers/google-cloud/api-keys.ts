import { createHash } from 'node:crypto';
import * as z from 'zod';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import { deletion } from '../http/by-hand.ts';
import type { KeyUpstream, UpstreamKey } from '../http/keys.ts';
import { seenSoon } from '../http/listing.ts';
import { distinct, upstreamId } from '../http/target.ts';
import { accountField, asAccount, type AccountLogin } from './account.ts';
import {
  find,
  idOf,
  isLive,
  keysOf,
  list,
  look,
  MARK,
  pathOf,
  placeOf,
  scopeOf,
  shown,
  type ApiKeyTarget,
} from './api-key.ts';
import { full } from './full.ts';
import { LOOKS_MS, notDone, operate } from './operation.ts';

const ADMIN_URL = 'https://apikeys.googleapis.com';

/** The fields of a target of API keys that are tested by calling `tested`. */
export function apiKeyFields(tested: string) {
  return {
    project: upstreamId,
    serviceAccount: accountField,
    services: distinct(
      z.string().regex(/^[a-z0-9.-]{4,128}$/, 'must be the name of an API, e.g. aiplatform.googleapis.com'),
      'API',
    )
      .refine((services) => services.includes(tested), `must have ${tested}, by which a key is tested`)
      .default([tested]),
  };
}

/**
 * API keys of Google Cloud, bound to a service account and restricted to some APIs: all of a provider but its target and its
 * test, whichever of Google's APIs agents call. The administrative secret is a service account's key file, as Google gives it.
 */
export const apiKeys = {
  ...asAccount(ADMIN_URL),
  owner: ({ project }) => project,
  scope: { field: 'services', of: (target) => scopeOf(target.serviceAccount, target.services) },
  agentHeaders: (value) => ({ 'x-goog-api-key': value }),

  list,
  find,

  /** The id comes from the name: an attempt before, whose answer was lost, has made the same key. */
  async create(api, target, name) {
    const id = `${MARK}-${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
    const body = {
      displayName: `Rekey: ${target.label}`,
      annotations: { [MARK]: name },
      serviceAccountEmail: target.serviceAccount,
      restrictions: { apiTargets: target.services.map((service) => ({ service })) },
    };
    try {
      await operate(api, { method: 'POST', path: `${keysOf(target)}?keyId=${id}`, body, full });
    } catch (error) {
      if (!isRekeyError(error, 'ERR_CONFLICT')) throw error;
    }
    const { scope } = await appeared(api, target, id);
    return { id, value: await valueOf(api, target, id), scope };
  },

  adoption: { identify: async (api, _agent, value) => idOf(api, value) },

  place: async (api, target, id) => placeOf(await look(api, target, id), target),

  reveal: async (api, target, { id }) => valueOf(api, target, id),

  async remove(api, target, id) {
    if ((await find(api, target, id)) === undefined) return;
    try {
      await operate(api, { method: 'DELETE', path: pathOf(target, id) });
    } catch (error) {
      if (!isRekeyError(error, 'ERR_NOT_FOUND')) throw error;
    }
  },

  byHand: (target, id) =>
    deletion({
      where: `At https://console.cloud.google.com/apis/credentials: the project ${target.project}, delete ${id}. Or`,
      url: `${ADMIN_URL}${pathOf(target, id)}`,
      login: 'authorization: Bearer $(gcloud auth print-access-token)',
      dead: 'Until somebody restores it, within 30 days, dead once this answers 404 or shows a deleteTime',
    }),
} satisfies Partial<KeyUpstream<ApiKeyTarget, AccountLogin>>;

/** Waits for the outcome, whoever's attempt it is of. */
async function appeared(api: Api, target: ApiKeyTarget, id: string): Promise<UpstreamKey> {
  const key = await seenSoon(LOOKS_MS, async () => look(api, target, id));
  if (key === undefined) throw notDone(id);
  if (isLive(key)) return shown(key);
  throw new RekeyError('ERR_REJECTED', `${id}, the key of this rotation, is deleted at Google`, {
    field: 'target',
    remedy: 'start a new rotation',
  });
}

async function valueOf(api: Api, target: ApiKeyTarget, id: string): Promise<string> {
  const answer = z.object({ keyString: z.string().min(1) });
  return (await api.call({ method: 'GET', path: `${pathOf(target, id)}/keyString`, answer })).keyString;
}
