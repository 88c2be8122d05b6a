import { RekeyError } from '../../domain/errors.ts';
import { fingerprint } from '../../domain/fingerprint.ts';
import type { Adoption, CredentialProvider, ProviderContext } from '../provider.ts';
import type { KeyMaterial } from './material.ts';
import { claimsIn, type OwnKeys } from './pool-claims.ts';
import { isOfHandle, type PoolEntry } from './pool-entry.ts';

/** What adoption needs of a provider of pools. */
interface Parts<T> extends Pick<
  CredentialProvider<T, KeyMaterial>,
  'assertBelongs' | 'verify' | 'secretPart'
> {
  readonly name: string;
  consoleOf(target: T): string;
  readonly maxLive: number;
  poolOf(target: T, ctx: ProviderContext): Promise<readonly PoolEntry[]>;
  own(target: T, ctx: ProviderContext): Promise<OwnKeys>;
  isAlive(target: T, key: PoolEntry, ctx: ProviderContext): Promise<boolean>;
  /** @throws RekeyError ERR_REJECTED where it is for something else than the target declares */
  assertDeclared(target: T, handleId: string, ctx: ProviderContext): Promise<void>;
}

/** Taking over a key in use: the upstream tells no ids, so that a person puts it into the pool under its name. */
export function poolAdoption<T>(parts: Parts<T>): Adoption<T, KeyMaterial> {
  const { name, maxLive } = parts;
  return {
    asksUpstream: true,

    async identify(target, material, ctx) {
      const { apiKey, apiKeyId } = material.reveal();
      const key = (await parts.poolOf(target, ctx)).find(({ value }) => value === apiKey);
      const isKnown = key !== undefined && (apiKeyId === undefined || isOfHandle(key, apiKeyId));
      // Else it could be given to another credential before it is claimed, or once it is released.
      if (isKnown && key.inUse === true) return key.handleId;
      if (isKnown) {
        throw new RekeyError('ERR_ADOPTION', `the pool has ${key.handleId} as one that is free`, {
          field: 'admin',
          remedy: 'write "inUse": true into its entry: then no other credential takes it',
        });
      }
      throw new RekeyError(
        'ERR_ADOPTION',
        `the secret's value is not in the pool, and ${name} tells no ids`,
        {
          field: 'admin',
          remedy:
            'append it to "pool" of the administrative secret as {"id": its name at the console, "value": …, "inUse": true}',
        },
      );
    },

    async dependencies(target, ctx) {
      const { keys } = await parts.own(target, ctx);
      if (keys.length < maxLive) return [];
      return [
        {
          what: `${keys.length} keys that this credential has taken`,
          severity: 'blocks',
          detail: `a rotation needs room for another: ${keys.map(({ key }) => key.handleId).join(', ')}`,
          remedy: `move who uses those that are not in the secret, then delete them at ${parts.consoleOf(target)}`,
        },
      ];
    },

    async adopt(target, token, { handle, material }, ctx) {
      parts.assertBelongs(target, handle, material);
      await parts.verify(target, material, ctx);
      await parts.assertDeclared(target, handle.id, ctx);
      const print = fingerprint(parts.secretPart(material));
      const { generation } = handle;
      const claim = await claimsIn(ctx).inherit({ fingerprint: print, token, generation });
      if (claim.own && claim.token === token) return handle;
      throw new RekeyError('ERR_ADOPTION', `the key ${handle.id} was taken by another credential`, {
        field: 'secret',
        remedy: 'adopt a key that no other credential has',
      });
    },

    async release(target, token, { id }, ctx) {
      const key = (await parts.poolOf(target, ctx)).find((each) => isOfHandle(each, id));
      // A dead one is nothing to give back.
      if (key === undefined || !(await parts.isAlive(target, key, ctx))) return;
      await claimsIn(ctx).giveBack({ fingerprint: key.print, token });
    },
  };
}
