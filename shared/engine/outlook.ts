import type { AnyProvider, Notice, ProviderContext } from '../providers/provider.ts';

/** What will stop a later rotation. Where that can't be told now, nothing is: no rotation or emergency fails for it. */
export async function outlook({
  provider,
  target,
  ctx,
}: {
  provider: AnyProvider;
  target: unknown;
  ctx: ProviderContext;
}): Promise<readonly Notice[]> {
  try {
    return (await provider.outlook?.(target, ctx)) ?? [];
  } catch {
    return [];
  }
}

/** The record that tells of it beside the one of what was done; its event pages. */
export function endangered<D extends object>(
  notices: readonly Notice[],
  about: D,
): (D & { readonly action: 'rotation-endangered'; readonly evidence: object })[] {
  if (notices.length === 0) return [];
  const findings = notices.map(({ message, remedy }) => ({ text: `${message}: ${remedy}` }));
  return [{ ...about, action: 'rotation-endangered', evidence: { findings } }];
}
