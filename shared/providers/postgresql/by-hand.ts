import type { CredentialHandle } from '../../domain/credential.ts';
import { shellWord } from '../../domain/shell.ts';
import { quote } from './failures.ts';
import { assertSlot } from './material.ts';
import type { PostgresTarget } from './target.ts';

/**
 * What a person runs at the database where Rekey can't: the same as an emergency's revocation. It needs no driver, so that
 * a function which never meets a database can tell it.
 */
export function manualRevocation(target: PostgresTarget, handle: CredentialHandle): string {
  assertSlot(target, handle);
  const user = literal(handle.id);
  const place = `host=${target.host} port=${target.port} dbname=${parameter(target.database)}`;
  return [
    `-- psql ${shellWord(place)}, as a role with CREATEROLE and pg_signal_backend:`,
    `ALTER ROLE ${quote(handle.id)} NOLOGIN PASSWORD NULL;`,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ${user};`,
    `-- Dead once this gives no row: SELECT pid FROM pg_stat_activity WHERE usename = ${user};`,
  ].join('\n');
}

/** A value in a connection string; quoted only where it has to be. */
function parameter(text: string): string {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

/** A string constant, whatever `standard_conforming_strings` says. */
function literal(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}
