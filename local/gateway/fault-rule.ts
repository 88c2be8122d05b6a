import { z } from 'zod';

const text = z.string().min(1).max(512);

/** The wire form of a fault rule, as `POST /_rekey/faults` takes it. */
export const faultRuleSchema = z.strictObject({
  id: text.optional(),
  match: z
    .strictObject({
      service: text.optional(),
      operation: text.optional(),
      function: text.optional(),
      resource: text.optional(),
    })
    .optional(),
  nth: z.int().min(1).optional(),
  times: z.int().min(1).optional(),
  action: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('delay'), ms: z.int().min(0).max(600_000) }),
    z.strictObject({ kind: z.literal('throttle') }),
    z.strictObject({ kind: z.literal('error'), status: z.int().min(500).max(599).optional() }),
    z.strictObject({ kind: z.literal('refuse'), code: text, message: text }),
    z.strictObject({ kind: z.literal('lose-answer') }),
    z.strictObject({ kind: z.literal('drop') }),
  ]),
});
