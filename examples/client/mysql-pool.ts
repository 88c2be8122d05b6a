/** A pool of MySQL or MariaDB connections whose user and password change without a restart. */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createCredentialSource } from '@rekey/client';
import { loginOf, rotatingPool } from '@rekey/client/mysql2';
import { secretsManagerVault } from '@rekey/client/secrets-manager';
import mysql, { type RowDataPacket } from 'mysql2/promise';

await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/orders-db',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 15 * 60,
  validate: loginOf,
});
const server = {
  host: process.env['MYSQL_HOST'] ?? 'localhost',
  port: Number(process.env['MYSQL_PORT'] ?? 3306),
};
await using pool = rotatingPool(source, (login) => mysql.createPool({ ...server, ...login }));

const [rows] = await pool.query<RowDataPacket[]>('SELECT CURRENT_USER() AS user');
console.log('logged in as', rows[0]?.['user']);
