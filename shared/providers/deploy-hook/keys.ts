import { createHash, createHmac, randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { Api } from '../http/api.ts';
import { curl } from '../http/by-hand.ts';
import type { KeyUpstream, UpstreamKey } from '../http/keys.ts';
import { markIn } from '../http/mark.ts';
import { assertCloses } from '../http/negative.ts';
import type { KeyTarget } from '../http/target.ts';

/** A target whose keys an operator's hook deploys. */
export interface DeployedTarget extends KeyTarget {
  /** What a key may do, in the hook's words. */
  readonly access: string;
}

const admin = z.object({
  /** The hook's address. */
  hookUrl: z.string().min(1),
  hookToken: z.string().min(1),
  /** Keys come from the first; the others are of keys that may still live. */
  keySeeds: z.array(z.string().min(32)).min(1).max(5),
});
type HookAdmin = z.infer<typeof admin>;

const keySchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  access: z.string(),
  /** Whether every node takes it. */
  deployed: z.boolean(),
});
const listSchema = z.object({ keys: z.array(keySchema), places: z.number().int().positive().optional() });
const full = z.object({ error: z.literal('full') });

/** What a server has of its own whose keys are part of its configuration. */
export interface DeployedKeys<T> {
  readonly name: string;
  /** The hook gets the value, or only its SHA-256 where that is enough to check one. */
  readonly gets: 'value' | 'sha256';
  /** Uses a key as an agent would. */
  readonly test: (api: Api, target: T) => Promise<void>;
  /** What to do where the server lets in whoever comes. */
  readonly open: string;
}

/**
 * Keys that a server takes from its configuration alone, so that a deployment makes and ends them. An operator's hook
 * (docs/deploy-hook.md) does that: it is asked, and what the server then takes and refuses is tried. A key's value is derived from
 * its name and a seed in the administrative secret, so that it can be tried whether it is dead; its id tells its value.
 */
export function deployedKeys<T extends DeployedTarget>({ name: server, gets, test, open }: DeployedKeys<T>) {
  return {
    admin,
    adminUrl: ({ hookUrl }) => hookUrl,
    adminHeaders: ({ hookToken }) => ({ authorization: `Bearer ${hookToken}` }),
    owner: () => 'deployed',
    scope: { field: 'access', of: ({ access }) => [access] },

    list: async (api) => (await listed(api)).keys.map(shown),
    async find(api, _target, id) {
      const found = await api.find({ method: 'GET', path: pathOf(id), answer: keySchema });
      return found === undefined ? undefined : shown(found);
    },

    async create(api, { access }, name, { keySeeds: [seed = ''] }) {
      const value = valueOf(seed, name);
      const sha256 = digest(value);
      const id = `${name}_${sha256.slice(0, 16)}`;
      const body = { name, access, sha256, ...(gets === 'value' ? { value } : {}) };
      const made = await api.call({ method: 'PUT', path: pathOf(id), body, answer: keySchema, full });
      return { id, value, scope: [made.access] };
    },

    reveal: async (_api, _target, { id }, { keySeeds }) => Promise.resolve(valueById(keySeeds, id)),
    valueById: ({ keySeeds }, _target, id) => valueById(keySeeds, id),

    /** Answers once the hook has begun: the key is listed until no node takes it. */
    async remove(api, _target, id) {
      await api.find({ method: 'DELETE', path: pathOf(id), answer: z.object({ id: z.literal(id) }) });
    },

    /** Where others take the places, a rotation finds none. */
    async outlook(api, { label }) {
      const { keys, places = Infinity } = await listed(api);
      const others = keys.filter((key) => markIn(key.name)?.label !== label);
      if (others.length + 2 <= places) return [];
      const ids = others.map(({ id }) => id).join(', ');
      return [
        {
          field: 'target',
          message: `${server} has ${places} places for keys, and others take ${others.length} (${ids}): none is left to rotate`,
          remedy: 'move who uses those, and take them out of the configuration',
        },
      ];
    },

    async inspect(as, target) {
      for (const value of [undefined, randomBytes(32).toString('base64url')])
        await assertCloses(server, async () => test(as(value), target), open);
    },

    test,

    byHand: (_target, id) =>
      [
        `# At the hook (hookUrl of the administrative secret), or out of the configuration of ${server}; then start every node again:`,
        curl('DELETE', `<hookUrl>${pathOf(id)}`, ['authorization: Bearer $HOOK_TOKEN']),
      ].join('\n'),
  } satisfies Partial<KeyUpstream<T, HookAdmin>>;
}

async function listed(api: Api): Promise<z.infer<typeof listSchema>> {
  return api.call({ method: 'GET', path: '/keys', answer: listSchema });
}

function pathOf(id: string): string {
  return `/keys/${encodeURIComponent(id)}`;
}

function shown({ id, name, access, deployed: ready }: z.infer<typeof keySchema>): UpstreamKey {
  return { id, name, active: true, scope: [access], ready };
}

function valueOf(seed: string, name: string): string {
  return createHmac('sha256', seed).update(name).digest('base64url');
}

/** The value of the key of that id; undefined where no seed gives it. */
function valueById(seeds: readonly string[], id: string): string | undefined {
  const [, name, sum] = /^(.+)_([0-9a-f]{16})$/.exec(id) ?? [];
  if (name === undefined || sum === undefined) return undefined;
  return seeds.map((seed) => valueOf(seed, name)).find((value) => digest(value).startsWith(sum));
}

function digest(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}
