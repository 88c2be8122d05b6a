/**
 * A long-running agent that Rekey knows: it is told of rotations, writes a checkpoint, moves under its work, and proves it
 * before the old login dies. Set AGENT_API (output AgentApi of the agents' stack), AGENT, PGHOST, PGPORT, PGDATABASE. It
 * works until it gets SIGTERM or Ctrl-C, or has done TASKS tasks, and then closes its session.
 */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createCredentialSource } from '@rekey/client';
import { openAgentSession } from '@rekey/client/agent';
import { loginOf, rotatingPool } from '@rekey/client/pg';
import { secretsManagerVault } from '@rekey/client/secrets-manager';
import { sigV4 } from '@rekey/client/sigv4';
import pg from 'pg';

const agent = process.env['AGENT'] ?? 'checkout';
const ttlSeconds = Number(process.env['TTL_SECONDS'] ?? 15 * 60); // half of the credential's window, at most
const aws = new SecretsManagerClient();
await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/orders-db',
  vault: secretsManagerVault(aws),
  lifetimeSeconds: ttlSeconds,
  staleLimitSeconds: 4 * ttlSeconds,
  validate: loginOf,
});
let done = 0;
// Closed before the source and after the pool: then nothing of this process is logged in any more.
await using _session = await openAgentSession({
  api: process.env['AGENT_API'] ?? 'http://localhost:8080',
  agent,
  credentials: { 'orders-db': source },
  sign: sigV4(aws.config),
  pact: {
    version: 1,
    agent,
    credentials: [
      {
        credential: 'orders-db',
        refresh: 'in-session',
        ttl: `${ttlSeconds}s`,
        staleLimit: `${4 * ttlSeconds}s`,
        uses: 'reported',
      },
    ],
    checkpoint: true,
    sessionLimit: '8h',
  },
  onAnnounced: ({ credential, rotatesAt }) => console.log(credential, 'rotates at', rotatesAt),
  checkpoint: () => console.log('checkpoint at task', done),
  onSwap: ({ next }) => console.log('moving to', next.versionId),
  onHalt: ({ credential }) => console.error(credential, 'was revoked: waiting'),
  onProblem: ({ during, error }) => console.error(during, 'failed:', String(error)),
});
// The holder's name, by which `rekey show` knows its database sessions.
const place = { ssl: true, application_name: agent };
await using pool = rotatingPool(source, (login) => new pg.Pool({ ...place, ...login }));

const tasks = Number(process.env['TASKS'] ?? Infinity);
let stopped = false;
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => (stopped = true));
while (done < tasks && !stopped) {
  await pool.query('SELECT pg_sleep(0.1)');
  done++;
}
console.log('done', done);
