import type { Credential } from '../domain/credential.ts';

/** Copies of the credentials' heads outside the table, so that a revocation works with the table down. */
export interface Snapshots {
  read(credentialId: string): Promise<Credential | undefined>;
}
