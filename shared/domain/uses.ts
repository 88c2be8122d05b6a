import type { UseReport } from './agents.ts';
import type { Uses } from './holder-evidence.ts';

/** All of them together. */
export function sum(uses: readonly UseReport[]): Uses {
  return uses.reduce(
    (total, { succeeded, refused }) => ({
      succeeded: total.succeeded + succeeded,
      refused: total.refused + refused,
    }),
    { succeeded: 0, refused: 0 },
  );
}

/** How many of all uses were refused, from 0 to 1. */
export function share({ succeeded, refused }: Uses): number {
  return refused === 0 ? 0 : refused / (succeeded + refused);
}
