import type { AnyProvider } from '../../shared/providers/provider.ts';

/**
 * `provider` as an upstream that creates at issue, which most APIs for keys do: what `issue` returns works at once, and
 * a lost answer is found by its token. The upstream itself stays the real one.
 */
export function creatingAtIssue(provider: AnyProvider): AnyProvider {
  return {
    ...provider,
    createsAt: 'issue',
    async issue(target, token, ctx) {
      const issued = await provider.issue(target, token, ctx);
      await provider.activate?.(target, token, issued, ctx);
      return issued;
    },
  };
}
