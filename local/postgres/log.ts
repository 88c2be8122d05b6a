import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';

/** How often the server refused somebody, by its own log. */
export interface Refusals {
  /** A wrong password, or a role that doesn't exist (PostgreSQL doesn't tell them apart). */
  readonly authentication: number;
  /** A role that may not log in. */
  readonly notPermittedToLogIn: number;
  readonly permissionDenied: number;
  /** No line of pg_hba.conf fits, above all a connection without TLS. */
  readonly notAdmitted: number;
}

const flushLimitMs = 10_000;

/** Counts the refusals in a server's log, once everything up to now has been written there. */
export async function countRefusals(logFile: string, connection: ClientConfig): Promise<Refusals> {
  const text = await flushed(logFile, connection);
  const lines = text.split('\n');
  const count = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
  return {
    authentication: count(/FATAL: {2}password authentication failed/),
    notPermittedToLogIn: count(/FATAL: {2}role ".*" is not permitted to log in/),
    permissionDenied: count(/ERROR: {2}permission denied/),
    notAdmitted: count(/FATAL: {2}no pg_hba\.conf entry/),
  };
}

/** All backends write to one pipe: when our own mark has come out of it, so has all that was written before. */
async function flushed(logFile: string, connection: ClientConfig): Promise<string> {
  const mark = `rekey-mark-${randomUUID()}`;
  const client = new Client({ ...connection, database: 'postgres' });
  await client.connect();
  try {
    await client.query(`DO $$ BEGIN RAISE LOG '${mark}'; END $$`);
  } finally {
    await client.end();
  }
  const deadline = Date.now() + flushLimitMs;
  while (Date.now() < deadline) {
    const text = await readFile(logFile, 'utf8');
    // The mark also stands in the statement that a server may log; only the LOG line counts.
    if (text.includes(`LOG:  ${mark}`)) return text;
    await sleep(20);
  }
  throw new Error("PostgreSQL's log isn't being written");
}
