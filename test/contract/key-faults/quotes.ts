import { inspect } from 'node:util';
import { expect } from 'vitest';
import { errorFields } from '../../../lambdas/compose.ts';

/** Nothing of `secrets` shows in an error, its causes, or what is logged of it; nor in `printed`. */
export function expectNothingOf(secrets: readonly string[], error: unknown, printed: unknown): void {
  const shown = [
    inspect(error, { depth: 20, showHidden: true }),
    inspect(errorFields(error), { depth: 20 }),
    JSON.stringify(error),
    String(error),
    ...chainOf(error).map((each) => String(each.stack)),
  ].join();
  const logged = inspect(printed, { depth: 20, maxArrayLength: null });
  for (const secret of secrets) {
    for (const each of [secret, encodeURIComponent(secret), bytesOf(secret)]) {
      expect(shown).not.toContain(each);
      expect(logged).not.toContain(each);
    }
  }
}

function chainOf(error: unknown): Error[] {
  return error instanceof Error ? [error, ...chainOf(error.cause)] : [];
}

/** A text as `inspect` shows a buffer that begins with it. */
function bytesOf(text: string): string {
  return [...Buffer.from(text)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
