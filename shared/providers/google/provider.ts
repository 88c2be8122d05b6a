import { createHash } from 'node:crypto';
import * as z from 'zod';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { deletion } from '../http/by-hand.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { seenSoon } from '../http/listing.ts';
import { distinct, targetOf, upstreamId } from '../http/target.ts';
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
  type GoogleTarget,
} from './key.ts';
import { keyFileSchema, tokenOf } from './login.ts';
import { LOOKS_MS, notDone, operate } from './operation.ts';

const GEMINI = 'generativelanguage.googleapis.com';

/** Out of room, and not only asked too often. */
const full = z.object({
  error: z.object({
    status: z.literal('RESOURCE_EXHAUSTED'),
    details: z
      .array(z.object({ reason: z.string().optional() }))
      .default([])
      .refine((details) => details.every(({ reason }) => reason !== 'RATE_LIMIT_EXCEEDED')),
  }),
});

/**
 * Google: API keys that are bound to a service account and restricted to some APIs. The administrative secret is a service
 * account's key file, as Google gives it; `adminUrl` in it is where the API Keys API isn't at its usual address.
 */
export const googleProvider = keyProvider<
  GoogleTarget,
  z.infer<typeof keyFileSchema> & { adminUrl?: string | undefined }
>({
  key: 'llm-key/google',
  name: 'Google',
  baseUrl: `https://${GEMINI}`,
  ...targetOf({
    project: upstreamId,
    serviceAccount: z.email('must be the e-mail address of a service account'),
    services: distinct(
      z.string().regex(/^[a-z0-9.-]{4,128}$/, 'must be the name of an API, e.g. aiplatform.googleapis.com'),
      'API',
    )
      .refine((services) => services.includes(GEMINI), `must have ${GEMINI}, by which a key is tested`)
      .default([GEMINI]),
  }),
  owner: ({ project }) => project,
  scope: { field: 'services', of: ({ serviceAccount, services }) => scopeOf(serviceAccount, services) },
  admin: keyFileSchema.extend({ adminUrl: z.string().min(1).optional() }),
  adminUrl: ({ adminUrl }) => adminUrl ?? 'https://apikeys.googleapis.com',
  adminHeaders: async (admin, _target, open) => ({
    authorization: `Bearer ${await tokenOf(admin, (baseUrl) => open(baseUrl, 'admin.token_uri'), 'admin')}`,
  }),
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

  /** Lists models, which is free. */
  async test(api) {
    const answer = z.object({ models: z.array(ANYTHING) });
    await api.call({ method: 'GET', path: '/v1beta/models?pageSize=1', answer });
  },

  byHand: (target, id) =>
    deletion({
      where: `At https://console.cloud.google.com/apis/credentials: the project ${target.project}, delete ${id}. Or`,
      url: `https://apikeys.googleapis.com${pathOf(target, id)}`,
      login: 'authorization: Bearer $(gcloud auth print-access-token)',
      dead: 'Until somebody restores it, within 30 days, dead once this answers 404 or shows a deleteTime',
    }),
});

/** Waits for the outcome, whoever's attempt it is of. */
async function appeared(api: Api, target: GoogleTarget, id: string): Promise<UpstreamKey> {
  const key = await seenSoon(LOOKS_MS, async () => look(api, target, id));
  if (key === undefined) throw notDone(id);
  if (isLive(key)) return shown(key);
  throw new RekeyError('ERR_REJECTED', `${id}, the key of this rotation, is deleted at Google`, {
    field: 'target',
    remedy: 'start a new rotation',
  });
}

async function valueOf(api: Api, target: GoogleTarget, id: string): Promise<string> {
  const answer = z.object({ keyString: z.string().min(1) });
  return (await api.call({ method: 'GET', path: `${pathOf(target, id)}/keyString`, answer })).keyString;
}
