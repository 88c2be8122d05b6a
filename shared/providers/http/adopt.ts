import { RekeyError } from '../../domain/errors.ts';
import type { Adoption, Dependency, ProviderContext } from '../provider.ts';
import type { AdminApi } from './admin-side.ts';
import type { Api } from './api.ts';
import type { UpstreamKey } from './keys.ts';
import { markedName, markIn, nameWithout } from './mark.ts';
import { assertKeyBelongs, type KeyMaterial } from './material.ts';
import { isSameScope, type Scope } from './scope.ts';
import { assertWord, type KeyTarget } from './target.ts';

/** What an upstream has of its own where a key that a person made is taken over. */
export interface KeyAdoption {
  /**
   * The upstream's id of a value, where it tells that by itself; undefined where it knows none. `agent` carries the value, as
   * an agent's call does.
   */
  readonly identify?: (admin: Api, agent: Api, value: string) => Promise<string | undefined>;
  /** Gives a key another name, where that can be done: then it gets the mark. */
  readonly rename?: (api: Api, id: string, name: string) => Promise<unknown>;
  /** The longest name. */
  readonly nameLength?: number;
}

/** What adoption needs of a provider of keys. */
interface Parts<T extends KeyTarget> {
  readonly name: string;
  readonly maxLive: number;
  identity(target: T): string;
  asAdmin(target: T, ctx: ProviderContext): Promise<Pick<AdminApi<unknown>, 'api' | 'print'>>;
  asAgent(target: T, value: string, ctx: ProviderContext): Api;
  list(api: Api, target: T): Promise<readonly UpstreamKey[]>;
  find(api: Api, target: T, id: string): Promise<UpstreamKey | undefined>;
  /** What the target declares that its keys may do, where it does. */
  scope(target: T): Scope | undefined;
}

/** Fewest characters of a value's end by which a key is told from all others without its id. */
const TELLING = 4;

/** Taking over a key that a person made: found by what the upstream shows of it, or by the id that is declared. */
export function keyAdoption<T extends KeyTarget>(
  parts: Parts<T>,
  { identify, rename, nameLength = Infinity }: KeyAdoption,
): Adoption<T, KeyMaterial> {
  const refused = (message: string, field: string, remedy: string): RekeyError =>
    new RekeyError('ERR_ADOPTION', message, { field, remedy });
  const nameTheId = `write the key's id at ${parts.name} as target.keyId, once you are sure that it is this key's`;

  /** The one key that the value is. Never a guess: a wrong id would be revoked in its place (hard decision 9). */
  function theOne(keys: readonly UpstreamKey[], value: string, id: string | undefined): UpstreamKey {
    if (id !== undefined) {
      const key = keys.find((each) => each.id === id);
      if (key === undefined) {
        throw refused(
          `${parts.name} has no key ${id} where the target says`,
          'target.keyId',
          'correct the id, or what owns the key',
        );
      }
      if (key.hint === undefined || fits(value, key.hint)) return key;
      throw refused(
        `the secret's value is not that of ${id}, by what ${parts.name} shows of it`,
        'target.keyId',
        'correct the id, or put the value of that key into the secret',
      );
    }
    const shown = keys.filter(({ hint }) => hint !== undefined && tells(hint));
    const [key, another] = shown.filter(({ hint }) => fits(value, hint ?? ''));
    if (key !== undefined && another === undefined) return key;
    if (another !== undefined) {
      throw refused(`several keys at ${parts.name} look like the secret's value`, 'target.keyId', nameTheId);
    }
    throw shown.length > 0
      ? refused(
          `no key at ${parts.name} looks like the secret's value`,
          'secret',
          'correct what owns the key in the target, or put a key of that owner into the secret',
        )
      : refused(
          `${parts.name} shows too little of its keys to tell which one the secret's value is`,
          'target.keyId',
          nameTheId,
        );
  }

  function assertFits(target: T, key: UpstreamKey): void {
    const mark = markIn(key.name);
    if (mark !== undefined && mark.label !== target.label) {
      throw refused(
        `the key ${key.id} belongs to the credential labelled ${mark.label}`,
        'secret',
        'adopt a key that no other credential has',
      );
    }
    if (!key.active) {
      throw refused(`the key ${key.id} is suspended`, 'secret', 'restore it there, or adopt another key');
    }
    const wanted = parts.scope(target);
    if (wanted === undefined || key.scope === undefined || isSameScope(wanted, key.scope)) return;
    throw refused(
      `the key ${key.id} may do [${key.scope.join(', ')}], the target declares [${wanted.join(', ')}]`,
      'target',
      'declare what the key may do now: adoption changes no rights',
    );
  }

  return {
    asksUpstream: true,
    ...(rename === undefined ? { marks: false as const } : {}),

    async identify(target, material, ctx) {
      const { apiKey, apiKeyId } = material.reveal();
      const id = target.keyId ?? apiKeyId;
      assertKeyBelongs(
        {
          of: parts.identity(target),
          ...(target.keyId === undefined ? {} : { handle: { id: target.keyId, generation: 0 } }),
        },
        material,
      );
      const { api } = await parts.asAdmin(target, ctx);
      const told = await identify?.(api, parts.asAgent(target, apiKey, ctx), apiKey);
      if (identify !== undefined && (told === undefined || (id !== undefined && id !== told))) {
        throw refused(
          `${parts.name} does not know the secret's value${id === undefined ? '' : ` as that of ${id}`}`,
          id === undefined ? 'secret' : 'target.keyId',
          'put a key of the owner that the target names into the secret',
        );
      }
      const key = theOne(await parts.list(api, target), apiKey, told ?? id);
      assertFits(target, key);
      assertWord(parts.name, key.id);
      return key.id;
    },

    async dependencies(target, ctx): Promise<readonly Dependency[]> {
      const { api } = await parts.asAdmin(target, ctx);
      const keys = await parts.list(api, target);
      const earlier = keys.filter(({ name }) => markIn(name)?.label === target.label);
      if (earlier.length < parts.maxLive) return [];
      return [
        {
          what: `${earlier.length} keys that are named rekey.${target.label}.…`,
          severity: 'blocks',
          detail: `a rotation needs room for another: ${earlier.map(({ id }) => id).join(', ')}`,
          remedy:
            'move who uses those that are not in the secret, then delete them; or declare another label',
        },
      ];
    },

    async adopt(target, token, { handle, material }, ctx) {
      assertKeyBelongs({ of: parts.identity(target), handle }, material);
      const { api, print: seenBy } = await parts.asAdmin(target, ctx);
      const key = await parts.find(api, target, handle.id);
      if (key?.active !== true) {
        throw new RekeyError('ERR_REJECTED', `the key ${handle.id} is suspended or gone`, {
          remedy: 'find out who ended it; an emergency may have',
        });
      }
      assertFits(target, key);
      const seen = { ...handle, seenBy };
      if (rename === undefined) return seen;
      const name = markedName(
        { label: target.label, generation: handle.generation, token },
        nameWithout(key.name),
      );
      // A name that leaves no room is kept: the handle in the ledger is enough, as where nothing can be renamed.
      if (key.name !== name && name.length <= nameLength) await rename(api, handle.id, name);
      return seen;
    },

    async release(target, token, handle, ctx) {
      if (rename === undefined) return;
      const { api } = await parts.asAdmin(target, ctx);
      const key = await parts.find(api, target, handle.id);
      const mark = key === undefined ? undefined : markIn(key.name);
      if (key === undefined || mark?.token !== token || mark.generation !== handle.generation) return;
      await rename(api, handle.id, nameWithout(key.name) || target.label);
    },
  };
}

/** Whether a value is one of which the upstream shows this: its begin, its end or both, and dots or stars for the rest. */
function fits(value: string, hint: string): boolean {
  const ends = endsOf(hint);
  return ends !== undefined && value.startsWith(ends.head) && value.endsWith(ends.tail);
}

function tells(hint: string): boolean {
  return (endsOf(hint)?.tail.length ?? 0) >= TELLING;
}

function endsOf(hint: string): { head: string; tail: string } | undefined {
  const { head, tail } = /^(?<head>[^.*…]*)(?:\.{2,}|\*+|…)(?<tail>[^.*…]*)$/.exec(hint)?.groups ?? {};
  return head === undefined || tail === undefined ? undefined : { head, tail };
}
