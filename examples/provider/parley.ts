import * as z from 'zod';
import type { Capabilities } from '../../shared/domain/capabilities.ts';
import { ANYTHING } from '../../shared/providers/http/api.ts';
import { curl } from '../../shared/providers/http/by-hand.ts';
import { keyProviderOf } from '../../shared/providers/http/keys.ts';
import { targetOf, upstreamId } from '../../shared/providers/http/target.ts';

/** What the upstream can do: the entry of shared/domain/capabilities.ts. */
const PARLEY: Capabilities = {
  overlap: { kind: 'dual', maxLive: 2 },
  canCreate: true,
  canSuspend: true,
  revocation: 'api',
  revocationDelaySeconds: 60,
  propagationSeconds: 30,
};

const key = z.object({ id: z.string().min(1), name: z.string(), enabled: z.boolean() });
const full = z.object({ error: z.literal('too_many_keys') });

interface ParleyTarget {
  readonly team: string;
  readonly label: string;
  readonly baseUrl?: string | undefined;
}

const keysOf = ({ team }: ParleyTarget): string => `/teams/${encodeURIComponent(team)}/keys`;
const pathOf = (target: ParleyTarget, id: string): string => `${keysOf(target)}/${encodeURIComponent(id)}`;

/** Parley, which doesn't exist: keys of a team. The administrative secret is `{"adminKey": …}`. */
export const parleyProvider = keyProviderOf<ParleyTarget, { adminKey: string }>(
  {
    key: 'llm-key/parley',
    name: 'Parley',
    baseUrl: 'https://api.parley.example/v1',
    ...targetOf({ team: upstreamId }),
    owner: ({ team }) => team,
    admin: z.object({ adminKey: z.string().min(1) }),
    adminHeaders: ({ adminKey }) => ({ authorization: `Bearer ${adminKey}` }),
    agentHeaders: (value) => ({ authorization: `Bearer ${value}` }),

    async list(api, target) {
      const answer = z.object({ keys: z.array(key) });
      const { keys } = await api.call({ method: 'GET', path: keysOf(target), answer });
      return keys.map(({ enabled, ...shown }) => ({ ...shown, active: enabled }));
    },

    async find(api, target, id) {
      const found = await api.find({ method: 'GET', path: pathOf(target, id), answer: key });
      return found === undefined ? undefined : { id: found.id, name: found.name, active: found.enabled };
    },

    async create(api, target, name) {
      const answer = z.object({ id: z.string().min(1), value: z.string().min(1) });
      return api.call({ method: 'POST', path: keysOf(target), body: { name }, answer, full });
    },

    async remove(api, target, id) {
      await api.find({ method: 'DELETE', path: pathOf(target, id), answer: ANYTHING });
    },

    async setActive(api, target, id, enabled) {
      await api.find({ method: 'PATCH', path: pathOf(target, id), body: { enabled }, answer: ANYTHING });
    },

    async test(api) {
      await api.call({ method: 'GET', path: '/models', answer: z.object({ models: z.array(ANYTHING) }) });
    },

    byHand: (target, id, baseUrl) =>
      curl('DELETE', `${baseUrl}${pathOf(target, id)}`, ['authorization: Bearer $PARLEY_ADMIN_KEY']),
  },
  PARLEY,
);
