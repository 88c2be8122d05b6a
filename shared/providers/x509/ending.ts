import { fromInstant } from '../../domain/clock.ts';
import type { DirectoryEntry } from '../../domain/directory.ts';
import type { Notice } from '../provider.ts';

/** C5: with less left, somebody is told. */
export const FORTNIGHT_SECONDS = 14 * 86_400;

/** An authority that nothing has rotated for long: what it signs ends with it. `field` is what its own end follows from. */
export function endingSoon(
  held: readonly DirectoryEntry[],
  {
    field,
    withinSeconds,
    now,
  }: { readonly field: string; readonly withinSeconds: number; readonly now: number },
): Notice[] {
  const last = held
    .flatMap(({ notAfter }) => notAfter ?? [])
    .toSorted()
    .at(-1);
  if (last === undefined || fromInstant(last) - now > withinSeconds * 1000) return [];
  return [
    {
      field,
      message: `the certificate authority that signs ends at ${last}, and with it all that it signs`,
      remedy: 'rotate it now; look at rekey plan for why nothing has',
    },
  ];
}
