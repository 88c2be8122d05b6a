// `npm run record`: records what this version stores, sends and answers, for the versions to come, once for each release
// (CONTRIBUTING.md, "Releasing"). Runs the engine on the local stack, and the CLI against the API.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import * as z from 'zod';
import * as messages from '../../shared/api/messages.ts';
import { eventOf } from '../../shared/domain/events.ts';
import { REKEY_VERSION } from '../../shared/version.ts';
import { root } from '../infra/app.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { Existing } from '../support/existing.ts';
import { definitions } from '../support/functions.ts';
import { rekey } from '../unit/cli/stand-in.ts';
import { onTheBus } from './bus.ts';
import { schemaOf, serveApi, servicesOf } from './api.ts';
import { itemsOf, keepStates } from './items.ts';
import { recordedFile, VERSIONS, type ApiExchange, type Recorded, type RecordedEvents } from './recorded.ts';

const BY_HAND = 'nightly-job';

if (VERSIONS.includes(REKEY_VERSION) && !process.argv.includes('--again')) {
  console.error(
    `${REKEY_VERSION} is recorded already, and what was released stays as it is. Before its release: npm run record -- --again`,
  );
  process.exit(2);
}
const world = await EngineWorld.start();
const dir = await mkdtemp(join(tmpdir(), 'rekey-record-'));
try {
  const states = keepStates(world.aws);
  const { one, ledger, api } = await rotateAndRevoke();
  const cases = [one, await rollBack(), await fail(), await observe()];
  const emergencyInput = [...one.machines.executions.values()].find(
    ({ input }) => 'incidentId' in input,
  )?.input;
  const recorded: Recorded = {
    ledger: {
      tables: ledger,
      states: Object.fromEntries([...states].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
    machines: {
      ...definitions(),
      emergencyInput: emergencyInput as Recorded['machines']['emergencyInput'],
    },
    api: { exchanges: api, schemas: answerSchemas() },
    events: await eventsOf(cases),
  };
  for (const kind of Object.keys(recorded) as (keyof Recorded)[]) {
    const file = recordedFile(REKEY_VERSION, kind);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, `${readable(recorded[kind])}\n`);
    console.log(file);
  }
} finally {
  await world.stop();
  await rm(dir, { recursive: true, force: true });
}

/** A whole rotation, then one that is revoked in its window; the CLI meanwhile. */
async function rotateAndRevoke(): Promise<{
  one: EngineCase;
  ledger: Recorded['ledger']['tables'];
  api: Recorded['api']['exchanges'];
}> {
  const one = world.newCase({}, [{ kind: 'manual', name: BY_HAND }]);
  await one.register();
  const file = join(dir, 'rekey.yaml');
  await writeFile(file, stringify({ version: 1, credentials: [{ ...one.declaration }] }));
  const first = await one.requestRotation();
  await windowOf(one, first);
  await run(one, [`confirm ${one.name} ${BY_HAND}`]);
  await one.settle();

  const rest = await itemsOf(world.aws, one.tenant);
  const atRest = await run(one, [
    `apply -f ${file} --dry-run`,
    `apply -f ${file}`,
    'list',
    `show ${one.name}`,
    'plan',
    'audit --from 2026-01-01',
    `import --prefix legacy/ -o ${join(dir, 'found.yaml')}`,
    `rotate ${one.name} --reason a-colleague-left`,
  ]);
  const token = (await one.credential()).activeRotation ?? '';
  await windowOf(one, token);
  const open = await itemsOf(world.aws, one.tenant);
  const windowOpen = await run(one, [
    `show ${one.name}`,
    'list',
    'plan',
    `confirm ${one.name} ${BY_HAND} --reason it-was-restarted`,
    `rollback ${one.name} --reason permission-errors`,
    `revoke ${one.name} --incident INC-1 --reason leaked --yes --wait`,
  ]);
  await one.settle();
  return {
    one,
    ledger: { 'at rest': rest, 'window open': open },
    api: { 'at rest': atRest, 'window open': windowOpen },
  };
}

async function rollBack(): Promise<EngineCase> {
  const one = world.newCase();
  await one.register();
  const token = await one.requestRotation();
  await windowOf(one, token);
  await one.requestRollback(token);
  await one.settle();
  return one;
}

/** Somebody has changed the password: the rotation is aborted. */
async function fail(): Promise<EngineCase> {
  const one = world.newCase();
  await one.register();
  await world.server.sql(`ALTER ROLE ${one.target.ownerRole}_a PASSWORD 'changed by somebody'`);
  await one.rotate();
  return one;
}

async function observe(): Promise<EngineCase> {
  const one = world.newCase();
  const existing = await Existing.make(one, { tagged: false });
  await one.tryRegister(existing.declared('observe'));
  return one;
}

async function windowOf(one: EngineCase, token: string): Promise<void> {
  await one.until(({ phase }) => phase === 'window', token);
  await one.still();
}

/** Runs command lines against the API of a case; of the same request the last answer counts, since some of them poll. */
async function run(one: EngineCase, commands: readonly string[]): Promise<ApiExchange[]> {
  const exchanges = new Map<string, ApiExchange>();
  for (const command of commands) {
    const services = servicesOf(one.deps, async ({ declaration, dryRun }) =>
      one.tryRegister(declaration, dryRun),
    );
    const api = await serveApi(services, (request, status, answer) => {
      const shown = command.replaceAll(`${dir}/`, '');
      exchanges.set(JSON.stringify([request.method, request.path, request.body]), {
        command: `rekey ${shown}`,
        request,
        status,
        schema: schemaOf(request),
        answer,
      });
    });
    const { exit, stderr } = await rekey(undefined, command.split(' '), { env: { REKEY_API_URL: api.url } });
    await api.close();
    if (exit !== 0) throw new Error(`rekey ${command} ended with ${exit}: ${stderr}`);
    await one.still();
  }
  return [...exchanges.values()];
}

/** What the CLI needs of each answer: more may be there. */
function answerSchemas(): Record<string, object> {
  return Object.fromEntries(
    Object.entries(messages).flatMap(([name, schema]) =>
      /Answer$|^emergencyStarted$/.test(name) && schema instanceof z.ZodType
        ? [[name, z.toJSONSchema(schema, { io: 'input' })]]
        : [],
    ),
  );
}

/** The first event of each type and action. */
async function eventsOf(cases: readonly EngineCase[]): Promise<RecordedEvents> {
  const events = new Map<string, RecordedEvents['events'][number]>();
  for (const one of cases) {
    for (const record of await one.records()) {
      const news = eventOf(record);
      if (news === undefined || events.has(record.message)) continue;
      events.set(record.message, { record, event: await onTheBus(one.tenant, news.detailType, news.detail) });
    }
    for (const { detailType, detail } of one.published) {
      if (!events.has(detailType))
        events.set(detailType, { event: await onTheBus(one.tenant, detailType, detail) });
    }
  }
  const schema = JSON.parse(await readFile(join(root, 'docs', 'events.schema.json'), 'utf8')) as object;
  return { events: [...events.values()], schema };
}

/** JSON with an item, a state or an exchange on each line. */
function readable(value: unknown, depth = 3, indent = ''): string {
  if (depth === 0 || typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const entries = Array.isArray(value)
    ? value.map((each) => readable(each, depth - 1, inner))
    : Object.entries(value).map(
        ([key, each]) => `${JSON.stringify(key)}: ${readable(each, depth - 1, inner)}`,
      );
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${entries.map((entry) => inner + entry).join(',\n')}\n${indent}${close}`;
}
