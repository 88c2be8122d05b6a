import * as z from 'zod';
import type { Instant } from '../../domain/clock.ts';
import { rulesOf } from '../http/rules.ts';
import { jwt } from '../signed-tokens/jwt.ts';
import type { TokenId } from '../signed-tokens/tokens.ts';

/** The collection whose points are the tokens that live. Whoever may write to it could bring a revoked token back. */
export const TOKENS = 'rekey_tokens';

const RIGHTS = { read: 'r', 'read-write': 'rw' } as const;

/** Rights on one collection, or on all of them (`*`) to read. Strict also where stored: no restriction may be overlooked. */
const ruleSchema = z
  .strictObject({
    collection: z
      .string()
      .regex(/^(\*|[\w-]{1,255})$/, 'must be the name of a collection, or *')
      .refine(
        (name) => name !== TOKENS,
        `must not be ${TOKENS}: who writes there brings revoked tokens back`,
      ),
    access: z.enum(['read', 'read-write']),
  })
  .refine(({ collection, access }) => collection !== '*' || access === 'read', 'must be read for *');

/** What a token may do. */
export const rulesSchema: z.ZodType<readonly Rule[]> = rulesOf(ruleSchema);
export type Rule = z.infer<typeof ruleSchema>;

/**
 * A token of Qdrant, signed with the server's `api_key`. With `id` it is taken as long as the point of that id is there.
 * Without `access` it could do everything.
 */
export function signed(
  rules: readonly Rule[],
  { id, subject }: TokenId,
  apiKey: string,
  endsAt: Instant,
): string {
  const isGlobal = rules.some(({ collection }) => collection === '*');
  const access = isGlobal
    ? 'r'
    : rules.map(({ collection, access: right }) => ({ collection, access: RIGHTS[right] }));
  const exists = { collection: TOKENS, matches: [{ key: 'token', value: id }] };
  // The subject is whom Qdrant's audit log names.
  return jwt({ access, ...(id === undefined ? {} : { value_exists: exists }), subject }, apiKey, endsAt);
}
