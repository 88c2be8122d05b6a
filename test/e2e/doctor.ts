import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancelRotateSecretCommand,
  CreateSecretCommand,
  DeleteSecretCommand,
  GetSecretValueCommand,
  RotateSecretCommand,
  TagResourceCommand,
  UntagResourceCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_SECRET } from '../../local/demo/database.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { rekey } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { Check, Tally } from '../../shared/domain/diagnosis.ts';
import { TAG } from '../../shared/names.ts';
import { apply, type Deployed } from './deployed.ts';

/** What `rekey doctor` finds on a deployed stack, well and ill. */
export function describeDoctor(deployed: () => Deployed): void {
  describe('`rekey doctor`', () => {
    let world: World;
    let vault: SecretsManagerClient;
    beforeAll(() => {
      ({ world, vault } = deployed());
    });

    interface Diagnosis {
      readonly deployment: { readonly checks: readonly Check[] };
      readonly credentials: readonly { readonly credential: string; readonly checks: readonly Check[] }[];
      readonly tally: Tally;
    }

    /** How it ended, and a line for each check that isn't ok. */
    async function doctor(...names: string[]): Promise<{ status: number; said: string[] }> {
      const { status, stdout, stderr } = await rekey(
        ['doctor', ...names, '--stage', 'local', '--json'],
        world.env,
      );
      if (stdout === '') throw new Error(stderr);
      const { deployment, credentials } = JSON.parse(stdout) as Diagnosis;
      const all = [
        ...deployment.checks.map((check) => ({ of: 'deployment', ...check })),
        ...credentials.flatMap(({ credential, checks }) =>
          checks.map((check) => ({ of: credential, ...check })),
        ),
      ];
      const said = all
        .filter(({ state }) => state !== 'ok')
        .map(
          ({ of, area, name, state, detail, remedy }) =>
            `${of} ${area} ${name} ${state}: ${detail} | ${remedy}`,
        );
      return { status, said };
    }

    /** No destination of alarms is among the settings of this deployment, and its account has no trail. */
    const AS_DEPLOYED = [
      expect.stringMatching(/^deployment deployment alarms warn: reach nobody: no destination is named/),
      expect.stringMatching(
        /^deployment deployment reads of secrets warn: are seen by nobody: there is no trail/,
      ),
    ];

    test('finds a deployment well, and each of its credentials, once its schedules have run', async () => {
      let found = await doctor();
      for (const end = Date.now() + 150_000; found.status === 10 && Date.now() < end; await sleep(2000))
        found = await doctor();
      expect(found).toEqual({ status: 0, said: AS_DEPLOYED });
      const { stdout } = await rekey(['doctor', 'orders', '--stage', 'local'], world.env);
      expect(stdout).toMatch(/ok +emergency machine +active/);
      expect(stdout).toMatch(/ok +target: login +what agents read logs in/);
      expect(stdout).not.toContain('reports');
      expect(stdout).toMatch(/0 not checked, 0 to be mended\n$/);
    });

    test('tells an administrative secret that is untagged from one that is gone, which roles see as the same denial', async () => {
      const tag = { Key: TAG.admin, Value: 'database' };
      await vault.send(new UntagResourceCommand({ SecretId: ADMIN_SECRET, TagKeys: [TAG.admin] }));
      try {
        expect(await doctor('orders')).toEqual({
          status: 3,
          said: [
            ...AS_DEPLOYED,
            expect.stringMatching(/^orders target administered not-checked/),
            expect.stringContaining(
              `orders administrator tags fail: ${ADMIN_SECRET} is not tagged rekey:admin=database | aws secretsmanager tag-resource --secret-id ${ADMIN_SECRET} --tags Key=rekey:admin,Value=database`,
            ),
          ],
        });
      } finally {
        await vault.send(new TagResourceCommand({ SecretId: ADMIN_SECRET, Tags: [tag] }));
      }
      const SecretString = (await vault.send(new GetSecretValueCommand({ SecretId: ADMIN_SECRET })))
        .SecretString;
      const second = { Name: 'demo/second-admin', SecretString, Tags: [tag] };
      await vault.send(new CreateSecretCommand(second));
      const held = {
        ...databaseCredential(world.server, 'held', 'held_app', 'held-agents'),
        admin: second.Name,
        holders: [{ kind: 'lambda', name: 'nightly', function: 'nobody-made-it' }],
      };
      expect((await apply(world, held)).status).toBe(0);
      await vault.send(new DeleteSecretCommand({ SecretId: second.Name, ForceDeleteWithoutRecovery: true }));
      const { status, said } = await doctor('held');
      expect(status).toBe(3);
      expect(said).toContainEqual(
        expect.stringContaining('held administrator exists fail: there is no secret demo/second-admin'),
      );
      expect(said).toContainEqual(expect.stringMatching(/^held holders nightly fail: .*nobody-made-it/));
      await vault.send(new CreateSecretCommand(second));
    });

    test('names a rotation that a stranger has cancelled, and the remedy mends it', async () => {
      await vault.send(new CancelRotateSecretCommand({ SecretId: 'agents/orders' }));
      const broken = await doctor('orders');
      expect(broken).toEqual({
        status: 3,
        said: [...AS_DEPLOYED, expect.stringMatching(/^orders secret schedule fail/)],
      });
      const [, functionArn, days] =
        /--rotation-lambda-arn (\S+) --rotation-rules AutomaticallyAfterDays=(\d+)/.exec(
          broken.said.at(-1) ?? '',
        ) ?? [];
      await vault.send(
        new RotateSecretCommand({
          SecretId: 'agents/orders',
          RotationLambdaARN: functionArn,
          RotationRules: { AutomaticallyAfterDays: Number(days) },
          RotateImmediately: false,
        }),
      );
      await world.stack.gateway.secrets.idle();
      expect(await doctor('orders')).toEqual({ status: 0, said: AS_DEPLOYED });
    });

    test('tells a denied key from what could not be checked, by its exit code as well', async () => {
      const of = { service: 'secretsmanager', function: 'register-database' };
      const { faults } = world.stack.gateway;
      const message = 'Access to KMS is not allowed';
      const key = faults.add({
        match: { ...of, operation: 'GetSecretValue', resource: ADMIN_SECRET },
        action: { kind: 'refuse', code: 'AccessDeniedException', message },
      });
      const denied = await doctor('orders');
      key();
      expect(denied.status).toBe(3);
      expect(denied.said).toContainEqual(
        expect.stringMatching(/^orders administrator readable fail: .*KMS key.*adminSecretKeyArns/),
      );
      const busy = faults.add({
        match: { ...of, operation: 'DescribeSecret' },
        action: { kind: 'throttle' },
      });
      const throttled = await doctor('orders');
      busy();
      expect(throttled).toEqual({
        status: 10,
        said: [
          ...AS_DEPLOYED,
          expect.stringMatching(/^orders secret exists not-checked: Secrets Manager throttles/),
        ],
      });
    });
  });
}
