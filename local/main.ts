// `npm run local`: keeps AWS, a database and Rekey up for trying things out, and prints how to use them, until Ctrl-C.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { IDENTITY_TYPES } from '../shared/names.ts';
import { ADMIN_SECRET, EXISTING, seedExisting } from './demo/database.ts';
import { databaseCredential, writeDeclaration } from './demo/declaration.ts';
import { startWorld } from './demo/world.ts';
import { localIdentities } from './identities.ts';
import { KEY_TYPES, localKeys } from './keys.ts';
import { ownAgent } from './own-agent.ts';
import { startLocalStack } from './stack.ts';
import { onTermination } from './termination.ts';

const { values } = parseArgs({
  options: {
    empty: { type: 'boolean', default: false },
    identities: { type: 'boolean', default: false },
    keys: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  console.log(`npm run local [-- options]
  --keys         deploy the functions of LLM keys and roots as well, beside a stand-in for OpenAI
  --identities   deploy those of signing keys, agent tokens and certificate authorities as well
  --empty        start the AWS emulator only: no database, nothing deployed`);
} else if (values.empty) {
  const stack = await startLocalStack({ iam: true });
  await untilEnded(() => stack.stop(), stack.env, []);
} else {
  const world = await startWorld((line) => console.log(`  ${line}`), {
    adoptPrefixes: [EXISTING.prefix],
    families: true,
    // Whatever authorization server somebody runs on this machine.
    privateUpstreams: ['127.0.0.1'],
    types: ['database', ...(values.keys ? KEY_TYPES : []), ...(values.identities ? IDENTITY_TYPES : [])],
  });
  const { server, stack, dir } = world;
  await seedExisting(server, stack);
  const caFile = join(dir, 'database-ca.pem');
  await writeFile(caFile, server.caPem);
  const file = await writeDeclaration(dir, [
    databaseCredential(server, 'orders', 'orders_app', 'order-agents'),
    databaseCredential(server, 'reports', 'reports_app', 'report-agents'),
  ]);
  const agent = await ownAgent(world, caFile);
  const keys = values.keys ? await localKeys(world) : undefined;
  const identities = values.identities ? await localIdentities(world, agent.principal) : [];
  const stop = async (): Promise<void> => {
    await agent.stop();
    await keys?.[Symbol.asyncDispose]();
    await world.stop();
  };
  await untilEnded(stop, world.env, [
    `A PostgreSQL with tables and an administrator for Rekey listens on ${server.host}:${server.port} (database shop, CA ${caFile}).`,
    '',
    `A secret of before Rekey is there, ${EXISTING.secret}. To have it observed, which changes nothing:`,
    '',
    `  npx rekey import --prefix ${EXISTING.prefix} -o ${join(dir, 'existing.yaml')}`,
    `  npx rekey apply -f ${join(dir, 'existing.yaml')}`,
    '  npx rekey show legacy-orders-db',
    '',
    `To go on to mode enforce, by step 3 of docs/quickstart.md: tag with Value=local, declare admin: ${ADMIN_SECRET}, and the`,
    `text of the CA as target.tls.ca.`,
    '',
    'What Rekey makes by itself; windows may be short here:',
    '',
    `  npx rekey apply -f ${file}`,
    '  npx rekey rotate orders --wait',
    '  npx rekey revoke reports --incident INC-1 --reason "seen in a log" --wait',
    '  npx rekey audit',
    '  npx rekey doctor',
    '',
    ...(keys?.lines ?? []),
    ...identities,
    ...agent.lines,
  ]);
}

/** Prints what to use, waits for the end, cleans up. */
async function untilEnded(
  stop: () => Promise<void>,
  env: Readonly<Record<string, string>>,
  more: readonly string[],
): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    onTermination(async () => resolve());
  });
  const exports = Object.entries(env).map(([name, value]) => `export ${name}=${value}`);
  const folder = await mkdtemp(join(tmpdir(), 'rekey-env-'));
  const file = join(folder, 'env');
  await writeFile(file, `${exports.join('\n')}\n`);
  const enter = `. ${file}`;
  console.log(
    [
      '',
      'It is up. In another shell, in this folder:',
      '',
      `  ${enter}`,
      '',
      ...more,
      '',
      'Ctrl-C ends it.',
    ].join('\n'),
  );
  const alive = setInterval(() => undefined, 60_000);
  try {
    await ended;
  } finally {
    clearInterval(alive);
    await rm(folder, { recursive: true, force: true });
    await stop();
  }
}
