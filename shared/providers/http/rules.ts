import * as z from 'zod';

/** A right on a collection, or on all of them (`*`). */
export interface Rule {
  readonly collection: string;
  readonly access: string;
}

/** What a target declares that its keys may do: each collection once, and `*` alone. An upstream's own default is never taken. */
export function rulesOf<R extends Rule>(rule: z.ZodType<R>): z.ZodType<readonly R[]> {
  return z
    .array(rule)
    .min(1)
    .max(20)
    .refine(isDistinct, 'must name each collection once, and * alone: it holds for all of them');
}

/** Whether keys with these rules may write. */
export function accessBy({ rules }: { readonly rules: readonly Rule[] }): 'read' | 'write' {
  return rules.every(({ access }) => access === 'read') ? 'read' : 'write';
}

/** The scope of keys with these rules, where the upstream has the same words. */
export function scopeBy({ rules }: { readonly rules: readonly Rule[] }): string[] {
  return rules.map(({ collection, access }) => `${collection} ${access}`);
}

function isDistinct(rules: readonly Rule[]): boolean {
  const names = new Set(rules.map(({ collection }) => collection));
  return names.size === rules.length && (names.size === 1 || !names.has('*'));
}
