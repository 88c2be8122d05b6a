import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
  TagResourceCommand,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { asSuperuser, DATABASE, tryLogin } from '../../local/demo/database.ts';
import { databaseCredential, TTL_SECONDS } from '../../local/demo/declaration.ts';
import { readLogin, startFleet, type Fleet } from '../../local/demo/fleet.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { follow } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import type { AuditAnswer, RotateAnswer, ShowAnswer } from '../../shared/api/messages.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';

const SECRET = 'agents/legacy';
const PASSWORD = 'made-by-hand-long-ago';

/** A live login of before Rekey, with its own tables, is adopted and rotated while its agents work without pause. */
describe('the adoption of a live login', { timeout: 300_000 }, () => {
  let world: World;
  let vault: SecretsManagerClient;
  let fleet: Fleet;
  let value: Record<string, unknown>;

  beforeAll(async () => {
    await forgetRecording('adoption');
    world = await startWorld(() => undefined);
    vault = new SecretsManagerClient(world.stack.clientConfig);
    await asSuperuser(
      world.server,
      DATABASE,
      `CREATE ROLE legacy LOGIN PASSWORD '${PASSWORD}' CONNECTION LIMIT 50; COMMENT ON ROLE legacy IS 'ask team legacy';
       GRANT legacy TO rekey_admin WITH ADMIN OPTION;
       GRANT USAGE, CREATE ON SCHEMA shop TO legacy; GRANT SELECT, INSERT ON shop.orders TO legacy;
       ALTER ROLE legacy SET search_path = shop;
       SET ROLE legacy; CREATE TABLE shop.own (id bigint GENERATED ALWAYS AS IDENTITY, made timestamptz DEFAULT now())`,
    );
    const { host, port } = world.server;
    value = {
      engine: 'postgres',
      host,
      username: 'legacy',
      password: PASSWORD,
      dbname: DATABASE,
      port: String(port),
      masterarn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:master-AbCdEf',
    };
    await vault.send(new CreateSecretCommand({ Name: SECRET, SecretString: JSON.stringify(value) }));
    fleet = startFleet(world.server, world.stack, {
      agents: 3,
      secret: SECRET,
      ttlSeconds: TTL_SECONDS,
      query: 'INSERT INTO orders DEFAULT VALUES; INSERT INTO own DEFAULT VALUES; SELECT count(*) FROM own',
    });
  }, 300_000);

  afterAll(async () => {
    await fleet?.stop();
    await keepRecording('adoption', world);
    vault?.destroy();
    await world?.stop();
  }, 60_000);

  async function declare(mode: string, more: object = {}): Promise<string> {
    const declared = databaseCredential(world.server, 'legacy', 'legacy_owner', 'legacy-agents') as {
      target: object;
    };
    const entry = {
      ...declared,
      adopt: true,
      mode,
      target: { ...declared.target, users: ['legacy', 'legacy_b'] },
      ...more,
    };
    const file = join(world.dir, 'legacy.yaml');
    await writeFile(file, stringify({ version: 1, credentials: [entry] }));
    return file;
  }
  const apply = async (mode: string): Promise<void> => {
    await rekeyJson(['apply', '-f', await declare(mode)], world.env);
  };
  const show = async () => (await rekeyJson<ShowAnswer>(['show', 'legacy'], world.env)).credential;
  const text = async (): Promise<string> =>
    (await vault.send(new GetSecretValueCommand({ SecretId: SECRET }))).SecretString ?? '';
  const rotate = async () => {
    const { rotation } = await rekeyJson<RotateAnswer>(['rotate', 'legacy'], world.env);
    return follow(world, 'legacy', rotation.id, () => undefined);
  };

  test('it is observed first: neither read without its owner’s tags nor rotated', async () => {
    await apply('observe');
    expect(await show()).toMatchObject({ mode: 'observe', adoption: 'observed', status: 'active' });
    const refused = await rekey(['rotate', 'legacy'], world.env);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain('mode observe');
    expect(await text()).toBe(JSON.stringify(value));
  });

  test('it leaves mode observe only once its owner has tagged the secret, by the command that the refusal names', async () => {
    const file = await declare('enforce');
    const refused = await rekey(['apply', '-f', file], world.env);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain(
      `aws secretsmanager tag-resource --secret-id ${SECRET} --tags Key=rekey:type,Value=database Key=rekey:stage,Value=local`,
    );
    expect((await show()).adoption).toBe('observed');
    await vault.send(
      new TagResourceCommand({
        SecretId: SECRET,
        Tags: [
          { Key: 'rekey:type', Value: 'database' },
          { Key: 'rekey:stage', Value: 'local' },
        ],
      }),
    );
    await apply('enforce');
    expect(await show()).toMatchObject({ mode: 'enforce', adoption: 'adopted' });
    expect(await text()).toBe(JSON.stringify(value));
  });

  test('its first rotation and its retirement meet no failed login and no missing privilege', async () => {
    const old = await readLogin(vault, SECRET);
    expect(await rotate()).toMatchObject({ phase: 'completed' });
    const second = await readLogin(vault, SECRET);
    expect(second.user).toBe('legacy_b');
    expect(await rotate()).toMatchObject({ phase: 'completed' });
    const third = await readLogin(vault, SECRET);
    expect(third.user).toBe('legacy');
    await fleet.stop();
    expect(fleet.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
    expect([...fleet.counts.otherFailures]).toEqual([]);
    expect(fleet.counts.queries).toBeGreaterThan(500);
    expect(await world.server.refusals()).toMatchObject({
      authentication: 0,
      notPermittedToLogIn: 0,
      permissionDenied: 0,
    });
    // Only now, since each attempt leaves a refusal in the log.
    for (const dead of [old, second]) expect(await tryLogin(world.server, dead)).toBe('refused');
    expect(await tryLogin(world.server, third)).toBe('accepted');
    expect(JSON.parse(await text())).toEqual({ ...value, password: third.password });
    const { rotations } = await rekeyJson<AuditAnswer>(['audit'], world.env);
    expect(rotations.map((one) => one.deactivation)).toEqual(['CONFIRMED', 'CONFIRMED']);
  });
});
