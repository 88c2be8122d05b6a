import { setTimeout as sleep } from 'node:timers/promises';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Session } from './connection.ts';
import { Contended } from './failures.ts';

/** A change that the administrator may lack the privilege for: what it is about and how to allow it. */
export interface Statement {
  /** One statement, or several that belong together. */
  readonly sql: string;
  readonly what: string;
  readonly remedy: string;
}

/** Runs statements one by one. @throws RekeyError ERR_ADMIN_DENIED naming the object and the remedy */
export async function runAll(session: Session, statements: readonly Statement[]): Promise<void> {
  for (const statement of statements) {
    try {
      await session.batch(statement.sql);
    } catch (error) {
      if (isRekeyError(error, 'ERR_ADMIN_DENIED')) throw denied([statement]);
      throw error;
    }
  }
}

/** The refusal for changes that are known beforehand to be out of the administrator's reach. */
export function denied(statements: readonly Statement[]): RekeyError {
  const named = statements.slice(0, 5).map((each) => each.what);
  const more = statements.length > named.length ? ` and ${statements.length - named.length} more` : '';
  return new RekeyError(
    'ERR_ADMIN_DENIED',
    `the administrator may not carry over ${named.join('; ')}${more}`,
    {
      remedy: [...new Set(statements.slice(0, 5).map((each) => each.remedy))].join('; '),
    },
  );
}

/** For how long a transaction that agents stand in the way of is run again. */
const PATIENCE_MS = 15_000;

/**
 * Runs a transaction that locks tables which agents work with, again and again while they are in its way. Each run
 * waits for a lock only briefly (grants.ts): two who wait for each other are found by PostgreSQL after a second
 * (deadlock_timeout), which then ends either of them, and it must never be the agent's.
 */
export async function patiently<T>(run: () => Promise<T>): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof Contended) || performance.now() > end) throw error;
      await sleep(50 + Math.random() * 200);
    }
  }
}
