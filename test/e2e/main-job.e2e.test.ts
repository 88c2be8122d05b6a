import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chainFaults, settledArchive } from '../../local/demo/archive.ts';
import { asSuperuser, DATABASE, tryLogin } from '../../local/demo/database.ts';
import { databaseCredential, TTL_SECONDS, writeDeclaration } from '../../local/demo/declaration.ts';
import { readLogin, startFleet, type Fleet } from '../../local/demo/fleet.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { follow, registerCredentials, revokeInEmergency } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import type { AuditAnswer, RotateAnswer, ShowAnswer } from '../../shared/api/messages.ts';
import { EVENT, OUTPUT } from '../../shared/names.ts';
import { REKEY_VERSION } from '../../shared/version.ts';
import { root } from '../infra/app.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';
import { NEXT_VERSION, NEXT_WINDOW, writeNextVersion } from '../support/next-version.ts';
import { gatherTraces, tapBus, vaultPasswords } from './canary.ts';
import { lifecyclesOf, liveCode, reaches } from './upgrading.ts';

/** The bar: logins counted in PostgreSQL's own log, over at least three successive rotations. */
const LOGINS = 10_000;
const ROTATIONS = 3;

const ORDERS_FLEET = {
  secret: 'agents/orders',
  ttlSeconds: TTL_SECONDS,
  query: 'INSERT INTO shop.orders DEFAULT VALUES',
};

/** A holder that somebody has to confirm. */
const BY_HAND = 'nightly-job';

describe('the main job on the deployed stack', { timeout: 600_000 }, () => {
  let world: World;
  let events: () => Promise<string[]>;
  let vault: SecretsManagerClient;
  let fleet: Fleet | undefined;
  let rotated = 0;

  /** From here on the window of "orders" is open until somebody confirms, for as long as a deployment takes. */
  async function awaitsConfirmation(): Promise<void> {
    const declared = databaseCredential(world.server, 'orders', 'orders_app', 'order-agents');
    const holders = [
      { kind: 'polling', name: 'order-agents', ttl: `${TTL_SECONDS}s` },
      { kind: 'manual', name: BY_HAND },
    ];
    await rekeyJson(
      ['apply', '-f', await writeDeclaration(world.dir, [{ ...declared, holders }])],
      world.env,
    );
  }

  beforeAll(async () => {
    await forgetRecording('main-job');
    world = await startWorld(() => undefined);
    vault = new SecretsManagerClient(world.stack.clientConfig);
    events = await tapBus(world);
    await registerCredentials(world, () => undefined);
  }, 300_000);

  afterAll(async () => {
    await fleet?.stop();
    try {
      await keepRecording('main-job', world);
    } finally {
      await world?.stop();
    }
  }, 60_000);

  test(`${LOGINS} fresh logins over ${ROTATIONS} rotations or more meet no authentication failure and no missing privilege`, async () => {
    const olds: { user: string; password: string }[] = [];
    const orders = startFleet(world.server, world.stack, { ...ORDERS_FLEET, agents: 4 });
    fleet = orders;
    let late: Fleet | undefined;
    // Rotations follow one another for as long as it takes: no login is made at rest.
    while (rotated < ROTATIONS || orders.counts.queries < LOGINS) {
      olds.push(await readLogin(vault, 'agents/orders'));
      const { rotation } = await rekeyJson<RotateAnswer>(['rotate', 'orders'], world.env);
      const ended = await follow(world, 'orders', rotation.id, () => undefined);
      expect(ended.phase).toBe('completed');
      rotated++;
      if (rotated === 1) {
        // As an administrator would who looks into the secret for the user of the day.
        const { user } = await readLogin(vault, 'agents/orders');
        await asSuperuser(
          world.server,
          DATABASE,
          `SET ROLE shop_tables; CREATE TABLE shop.late (id bigint GENERATED ALWAYS AS IDENTITY);
           GRANT SELECT, INSERT ON shop.late TO ${user}`,
        );
        late = startFleet(world.server, world.stack, {
          agents: 1,
          secret: 'agents/orders',
          ttlSeconds: TTL_SECONDS,
          query: 'INSERT INTO shop.late DEFAULT VALUES',
        });
      }
    }
    await orders.stop();
    await late?.stop();
    const refusals = await world.server.refusals();
    expect(orders.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
    expect([...orders.counts.otherFailures]).toEqual([]);
    expect(late?.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
    expect(late?.counts.queries).toBeGreaterThan(100);
    expect(refusals).toMatchObject({ authentication: 0, notPermittedToLogIn: 0, permissionDenied: 0 });
    // Only now, since each attempt leaves a refusal in the log.
    for (const old of olds) expect(await tryLogin(world.server, old)).toBe('refused');
    expect(await tryLogin(world.server, await readLogin(vault, 'agents/orders'))).toBe('accepted');
  });

  test('an emergency revokes first, replaces, and halts and resumes the agents', async () => {
    const result = await revokeInEmergency(world, () => undefined);
    expect(result).toMatchObject({
      status: 'SUCCEEDED',
      revokedBeforeIssued: true,
      oldCredentialRejected: true,
      replacementAccepted: true,
    });
    const types = (await events()).map(
      (text) => (JSON.parse(text) as { 'detail-type': string })['detail-type'],
    );
    expect(types).toEqual(
      expect.arrayContaining([
        EVENT.announced,
        EVENT.rotated,
        EVENT.retired,
        EVENT.revoked,
        EVENT.halt,
        EVENT.resume,
        EVENT.emergency,
      ]),
    );
  });

  test.for([
    { what: 'a newer version', app: () => writeNextVersion(join(world.dir, 'next')), window: 'Window' },
    { what: 'the version before, rolled back', app: async () => root, window: NEXT_WINDOW },
  ])('deploying $what in mid-window finishes the rotation under way', async ({ app, window }) => {
    await awaitsConfirmation();
    const before = await world.server.refusals();
    const agents = startFleet(world.server, world.stack, { ...ORDERS_FLEET, agents: 2 });
    fleet = agents;
    const old = await readLogin(vault, 'agents/orders');
    const { rotation } = await rekeyJson<RotateAnswer>(['rotate', 'orders'], world.env);
    await reaches(world, 'orders', rotation.id, 'window');
    const code = await liveCode(world);

    await world.upgrade(await app());

    for (const [name, hash] of await liveCode(world)) {
      expect(hash, `the code of ${name} that is live`).not.toBe(code.get(name));
    }
    const { rotations } = await rekeyJson<ShowAnswer>(['show', 'orders'], world.env);
    expect(rotations.find(({ id }) => id === rotation.id)?.phase).toBe('window');
    // The command line is this version's, in both directions.
    await rekeyJson(['confirm', 'orders', BY_HAND], world.env);
    const ended = await follow(world, 'orders', rotation.id, () => undefined);
    rotated++;
    expect(ended.phase).toBe('completed');
    // An execution keeps the definition with which it began; each state invokes what is live. Nothing had to be mended.
    const lifecycles = await lifecyclesOf(world, rotation.id);
    expect(lifecycles).toEqual([
      { status: 'SUCCEEDED', states: expect.arrayContaining([window, 'Retire', 'Done']) },
    ]);
    expect(lifecycles[0]?.states).not.toContain('Reconcile');
    await agents.stop();
    expect(agents.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
    expect([...agents.counts.otherFailures]).toEqual([]);
    expect(agents.counts.queries).toBeGreaterThan(200);
    expect(await world.server.refusals()).toEqual(before);
    expect(await tryLogin(world.server, old)).toBe('refused');
    const { records } = await rekeyJson<AuditAnswer>(['audit'], world.env);
    const written = (await settledArchive(world.stack, world.output(OUTPUT.archive), records))
      .filter(({ metadata }) => metadata.correlation_uid === rotation.id)
      .map(({ metadata }) => metadata.product.version);
    expect(new Set(written)).toEqual(new Set([REKEY_VERSION, NEXT_VERSION]));
  });

  test('every event is as its published schema says', async () => {
    const schema = JSON.parse(
      await readFile(join(import.meta.dirname, '../../docs/events.schema.json'), 'utf8'),
    ) as object;
    const conforms = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
    const published = (await events()).map((text) => JSON.parse(text) as object);
    expect(published.length).toBeGreaterThan(3 * rotated);
    for (const event of published) {
      expect({ event, valid: conforms(event), errors: conforms.errors }).toEqual({
        event,
        valid: true,
        errors: null,
      });
    }
  });

  test('every record is archived, every chain is whole, every old credential is confirmed dead', async () => {
    const answer = await rekeyJson<AuditAnswer>(['audit'], world.env);
    const archived = await settledArchive(world.stack, world.output(OUTPUT.archive), answer.records);
    expect(archived).toHaveLength(answer.records);
    expect(answer.chain.faults).toEqual([]);
    expect(chainFaults(archived)).toBe(0);
    expect(answer.rotations).toHaveLength(rotated + 1);
    expect(answer.rotations.map((one) => one.deactivation)).toEqual(Array(rotated + 1).fill('CONFIRMED'));
  });

  test('no log, event, table item, workflow or archived object holds a secret value', async () => {
    const passwords = await vaultPasswords(world);
    expect(passwords.length).toBeGreaterThanOrEqual(rotated + 4);
    const traces = await gatherTraces(world, await events());
    for (const [where, text] of Object.entries(traces)) {
      expect(text.length, `${where} is empty, so this would prove nothing`).toBeGreaterThan(500);
      const leaks = passwords.filter((password) => text.includes(password));
      expect(leaks.length, `secret values in ${where}`).toBe(0);
    }
  });
});
