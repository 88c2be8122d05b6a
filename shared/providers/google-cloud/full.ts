import * as z from 'zod';

/** How Google says that it is out of room, and not only asked too often. */
export const full = z.object({
  error: z.object({
    status: z.literal('RESOURCE_EXHAUSTED'),
    details: z
      .array(z.object({ reason: z.string().optional() }))
      .default([])
      .refine((details) => details.every(({ reason }) => reason !== 'RATE_LIMIT_EXCEEDED')),
  }),
});
