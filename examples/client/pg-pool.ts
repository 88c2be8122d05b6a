/**
 * A pool of PostgreSQL connections whose user and password change without a restart. Set PGHOST, PGPORT and PGDATABASE as
 * for any client of PostgreSQL, NODE_EXTRA_CA_CERTS where the server's certificate needs it, and SECRET_ID.
 */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createCredentialSource } from '@rekey/client';
import { loginOf, rotatingPool } from '@rekey/client/pg';
import { secretsManagerVault } from '@rekey/client/secrets-manager';
import pg from 'pg';

await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/orders-db',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 15 * 60, // the `ttl` of the holder in rekey.yaml
  staleLimitSeconds: 60 * 60, // how long this agent may go on while the vault is out
  validate: loginOf, // a value without a login is never moved to
  on: {
    refreshFailed: ({ failures, error }) => console.error('refresh failed', failures, error.code),
    swapped: ({ next }) => console.log('moved to', next.versionId),
  },
});
const place = { ssl: true, application_name: 'order-agents' }; // the holder's name: `rekey show` knows its sessions by it
await using pool = rotatingPool(source, (login) => new pg.Pool({ ...place, ...login }));

const { rows } = await pool.query<{ login: string }>('SELECT current_user AS login');
console.log('logged in as', rows[0]?.login);
