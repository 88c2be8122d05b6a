import type { z } from 'zod';
import type { auditQuery } from '../../shared/api/messages.ts';
import { RekeyError } from '../../shared/domain/errors.ts';

/** The span that was asked for; by default the year until today. */
export function daysOf(
  query: Pick<z.infer<typeof auditQuery>, 'from' | 'to'>,
  now: number,
): { from: string; to: string } {
  const to = query.to ?? new Date(now).toISOString().slice(0, 10);
  return { from: query.from ?? yearBefore(to), to };
}

/** The same day a year earlier; 29 February becomes 1 March. */
function yearBefore(day: string): string {
  const date = new Date(`${day}T00:00:00.000Z`);
  date.setUTCFullYear(date.getUTCFullYear() - 1);
  return date.toISOString().slice(0, 10);
}

/** A question that can't be answered as it was asked. */
export function badQuery(field: string, message: string, remedy: string): RekeyError {
  return new RekeyError('ERR_REQUEST', message, { field, remedy });
}
