import { RekeyError } from '../../../shared/domain/errors.ts';
import type { KeyMaterial } from '../../../shared/providers/http/material.ts';
import type { KeyTarget } from '../../../shared/providers/http/target.ts';
import type { CredentialProvider, Issued, ProviderContext } from '../../../shared/providers/provider.ts';

/** A credential with a key that works, and a key of somebody else beside it. */
export interface Scene<T> {
  readonly target: T;
  readonly ctx: ProviderContext;
  readonly first: Issued<KeyMaterial>;
  /** What is issued next, where the step is about it. */
  next?: Issued<KeyMaterial>;
}

/** A step of a credential's life. */
export interface Step<T> {
  readonly name: string;
  before?(scene: Scene<T>): Promise<void>;
  run(scene: Scene<T>): Promise<unknown>;
  /** It may try whether the upstream refuses what it should. */
  readonly probes?: boolean;
  /** Generations that live when it is done. */
  readonly leaves: readonly number[];
}

/** Tokens of the first and the second generation. */
export const TOKENS = [1, 2].map((each) => `00000000-0000-4000-9000-00000000000${each}`);
export const [FIRST = '', NEXT = ''] = TOKENS;

/** Every step that makes requests, on a credential whose first key works. */
export function stepsOf<T extends KeyTarget>(
  provider: CredentialProvider<T, KeyMaterial>,
): readonly Step<T>[] {
  const { suspension } = provider;
  const issueNext = async (scene: Scene<T>): Promise<void> => {
    scene.next = await provider.issue(scene.target, NEXT, { ...scene.ctx, generation: 2 });
  };
  const look = { leaves: [1] };
  return [
    {
      name: 'preflight',
      run: async ({ target, ctx }) => provider.preflight(target, ctx),
      probes: true,
      ...look,
    },
    { name: 'issue', run: issueNext, leaves: [1, 2] },
    {
      name: 'activate',
      before: issueNext,
      run: async ({ target, ctx, next }) => next && provider.activate?.(target, NEXT, next, ctx),
      leaves: [1, 2],
    },
    {
      name: 'verify',
      run: async ({ target, ctx, first }) => provider.verify(target, first.material, ctx),
      ...look,
    },
    {
      name: 'comparePermissions',
      before: issueNext,
      run: async ({ target, ctx, first, next }) =>
        next && provider.comparePermissions?.(target, first.handle, next.handle, ctx),
      leaves: [1, 2],
    },
    {
      name: 'revoke',
      run: async ({ target, ctx, first }) => {
        const done = await provider.revoke(target, first.handle, { endSessions: true }, ctx);
        if (!done.confirmed) throw new RekeyError('ERR_UNAVAILABLE', 'not confirmed');
      },
      probes: true,
      leaves: [],
    },
    {
      name: 'deactivation',
      run: async ({ target, ctx, first }) => provider.deactivation?.(target, first.handle, ctx),
      probes: true,
      ...look,
    },
    { name: 'list', run: async ({ target, ctx }) => provider.list?.(target, ctx), ...look },
    {
      name: 'usage',
      run: async ({ target, ctx, first }) => provider.usage?.(target, first.handle, ctx),
      ...look,
    },
    ...(suspension === undefined
      ? []
      : [
          {
            name: 'suspend',
            run: async ({ target, ctx, first }: Scene<T>) => suspension.suspend(target, first.handle, ctx),
            leaves: [],
          },
          {
            name: 'restore',
            before: async ({ target, ctx, first }: Scene<T>) => suspension.suspend(target, first.handle, ctx),
            run: async ({ target, ctx, first }: Scene<T>) => suspension.restore(target, first.handle, ctx),
            ...look,
          },
        ]),
  ];
}

/** Names that are nearly the mark of a credential's second key. */
export function lookalikes(label: string): string[] {
  const mark = `rekey.${label}.2.${NEXT}`;
  return [
    `Rekey.${label}.2.${NEXT}`,
    `rekey.${label}x.2.${NEXT}`,
    `rekey.${label}.2`,
    `rekey.${label}.2.${NEXT.slice(0, 30)}`,
    `rekey.${label}.two.${NEXT}`,
    `rekey.${label}.-2.${NEXT}`,
    `rekey_${label}.2.${NEXT}`,
    ` ${mark}`,
    `${mark} `,
    `${mark}\n`,
    `${mark}.old`,
    `copy of ${mark}`,
    mark.replace('e', 'е'),
  ];
}
