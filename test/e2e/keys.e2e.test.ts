import { setTimeout as sleep } from 'node:timers/promises';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import { FAMILIES, keepRun, type Passed } from '../../scripts/upstream-run.ts';
import type {
  AuditAnswer,
  CredentialView,
  EmergencyAnswer,
  RotateAnswer,
  RotationView,
} from '../../shared/api/messages.ts';
import { CAPABILITIES } from '../../shared/domain/capabilities.ts';
import { isRoot } from '../../shared/domain/roots.ts';
import { CREDENTIAL_TYPES, TAG } from '../../shared/names.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';
import { testAdoptedKeys } from './adopted-keys.ts';
import { testDayWithoutRekey } from './day-without-rekey.ts';
import { testEmergencyByHand } from './emergency-by-hand.ts';
import { testExposedKey } from './exposed-key.ts';
import { testFamilies } from './families.ts';
import { testIdentitiesUnderLoad } from './identities-under-load.ts';
import { testPrivateCertificates } from './private-certificates.ts';
import { testRootByHand } from './root-by-hand.ts';
import { testToldUses } from './told-uses.ts';
import { playUpstreams } from './upstreams/all.ts';
import { nameOf, type PlayedUpstream } from './upstreams/played.ts';
import { settledFewAtATime, Watched } from './watched.ts';

/** A line of a private key that no other has: the first is that of any. */
function ownLine(pem: string): string {
  const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-'));
  return lines[Math.floor(lines.length / 2)] ?? '';
}

/** Keys of every HTTP upstream, led by the deployed functions of their type against the upstream's stateful fake. */
describe('keys of HTTP upstreams, on the deployed stack', { timeout: 480_000 }, () => {
  let world: World;
  let vault: SecretsManagerClient;
  let watched: Watched;
  let upstreams: PlayedUpstream[] = [];
  /** What each upstream has passed; kept for the end of `npm test`, and for docs/providers/README.md. */
  const passes: Record<string, Passed[]> = {};
  const counts: string[] = [];

  const read = async (one: PlayedUpstream, stage = 'AWSCURRENT'): Promise<string> => {
    const { SecretString = '' } = await vault.send(
      new GetSecretValueCommand({ SecretId: `agents/${nameOf(one)}`, VersionStage: stage }),
    );
    return SecretString;
  };
  const rotate = async (one: PlayedUpstream): Promise<string> =>
    (await rekeyJson<RotateAnswer>(['rotate', nameOf(one)], world.env)).rotation.id;
  const inWindow = async (one: PlayedUpstream, id: string): Promise<void> => {
    const opened = ({ rotation }: CredentialView) => rotation?.id === id && rotation.phase === 'window';
    await watched.until(nameOf(one), (each) => opened(each) || undefined);
  };
  const passed = ({ key, variant }: PlayedUpstream, what: Passed): void => {
    const row = variant ?? key;
    passes[row] = [...(passes[row] ?? []), what];
  };
  const count = (line: string): void => void counts.push(line);
  /** To its end, with a person at the console where nobody else ends keys: told by `rekey list`, and not believed. */
  const followed = async (one: PlayedUpstream, id: string): Promise<RotationView> => {
    if (one.endByHand !== undefined) {
      const asked = ({ rotation }: CredentialView) =>
        rotation?.id === id ? rotation.awaitsOperator?.byHand : undefined;
      const byHand = await watched.until(nameOf(one), asked);
      const early = await rekey(['confirm', nameOf(one), '--json'], world.env);
      expect([early.status === 0, early.stderr]).toEqual([
        false,
        expect.stringContaining('ERR_AWAITING_OPERATOR'),
      ]);
      const table = await rekey(['list'], world.env);
      expect(table.stdout).toMatch(new RegExp(`${nameOf(one)} .*awaiting operator: manual`));
      await one.endByHand(byHand);
      await rekeyJson(['confirm', nameOf(one)], world.env);
    }
    return watched.over(nameOf(one), id);
  };
  /** The person at the console in an emergency, who says nothing to Rekey. */
  const endedByHand = async (one: PlayedUpstream): Promise<void> => {
    if (one.endByHand === undefined) return;
    const byHand = await watched.until(nameOf(one), ({ emergency }) => emergency?.awaitsOperator?.byHand);
    await one.endByHand(byHand);
  };
  /** Runs for every upstream, a few at a time: they have nothing in common but the functions. */
  const forEach = async (what: Passed, act: (one: PlayedUpstream) => Promise<void>): Promise<void> => {
    const names = upstreams.map(nameOf);
    const outcomes = await settledFewAtATime(upstreams, async (one) =>
      act(one).then(() => passed(one, what)),
    );
    const failures = outcomes.flatMap((outcome, at) =>
      outcome.status === 'rejected' ? [`${names[at]}: ${String(outcome.reason)}`] : [],
    );
    expect(failures).toEqual([]);
  };

  /** As it is declared, roots included. */
  const entryOf = (one: PlayedUpstream) => ({
    name: nameOf(one),
    ...one.entry,
    secret: `agents/${nameOf(one)}`,
    ...(one.admin === undefined ? {} : { admin: `agents/admin/${one.key}` }),
    policy: {
      // Long enough for a command of each upstream that is led beside it, on a busy machine.
      window: '20s',
      deadline: '90s',
      cap: '5m',
      ...(CAPABILITIES[one.key].canSuspend ? { soak: '1s' } : {}),
      interval: '14d',
      evidenceOfUse: 'holders',
      ...one.policy,
    },
    holders: [
      {
        kind: 'polling',
        name: `${nameOf(one)}-agents`,
        ttl: '2s',
        ...(one.principal === undefined ? {} : { principal: one.principal }),
      },
    ],
  });

  const create = async (
    name: string,
    value: object,
    tags: Readonly<Record<string, string>>,
  ): Promise<void> => {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    const SecretString = JSON.stringify(value);
    await vault.send(new CreateSecretCommand({ Name: name, SecretString, Tags }));
  };

  beforeAll(async () => {
    await forgetRecording('keys');
    world = await startWorld(() => undefined, {
      types: [...CREDENTIAL_TYPES],
      families: true,
      privateUpstreams: ['127.0.0.1'],
    });
    vault = new SecretsManagerClient(world.stack.clientConfig);
    watched = new Watched(world.env);
    upstreams = await playUpstreams(world);
    for (const one of upstreams) {
      const { key, entry, admin, root } = one;
      // Below the prefix of the deployment, so that each may be a root without another setting.
      const type = isRoot(entry.type) ? entry.type : 'root';
      const tags = { [TAG.admin]: entry.type, [TAG.type]: type, [TAG.stage]: 'local' };
      if (admin !== undefined) await create(`agents/admin/${key}`, admin, tags);
      if (root !== undefined) await create(`agents/${nameOf(one)}`, root, tags);
    }
  }, 480_000);

  afterAll(async () => {
    await keepRun({ day: new Date().toISOString().slice(0, 10), passes, counts });
    try {
      await keepRecording('keys', world);
    } finally {
      vault?.destroy();
      await world?.stop();
      for (const one of upstreams) await one[Symbol.asyncDispose]();
    }
  }, 60_000);

  test('are registered with a first key, which works', async () => {
    const file = join(world.dir, 'keys.yaml');
    const declared = upstreams.map(entryOf);
    const credentials = declared.filter(({ type }) => !isRoot(type));
    const roots = declared
      .filter(({ type }) => isRoot(type))
      .map(({ type: _root, ...root }) => ({ ...root, owner: 'platform', scope: 'the whole organization' }));
    await writeFile(file, stringify({ version: 1, credentials, roots }));
    await rekeyJson(['apply', '-f', file], world.env);
    await forEach('register', async (one) => {
      expect([await one.takes(await read(one)), await one.live()]).toEqual([true, 1]);
    });
  });

  test('are rotated: both keys work in the window, then the old one is dead', async () => {
    await forEach('rotate', async (one) => {
      const old = await read(one);
      const id = await rotate(one);
      await inWindow(one, id);
      const next = await read(one);
      expect(next).not.toBe(old);
      expect(await one.takes(next)).toBe(true);
      expect(one.tellsUseAtOnce === true ? (await one.live()) === 2 : await one.takes(old)).toBe(true);
      passed(one, 'window');
      expect((await followed(one, id)).phase).toBe('completed');
      expect([await one.takes(old), await one.takes(next), await one.live()]).toEqual([false, true, 1]);
    });
  });

  test('are rolled back: agents are on the old key again, the new one is dead', async () => {
    await forEach('roll back', async (one) => {
      const old = await read(one);
      const id = await rotate(one);
      await inWindow(one, id);
      const next = await read(one);
      await rekeyJson(['rollback', nameOf(one), id, '--reason', 'test'], world.env);
      expect((await followed(one, id)).phase).toBe('rolled-back');
      expect(await read(one)).toBe(old);
      expect([await one.takes(old), await one.takes(next), await one.live()]).toEqual([true, false, 1]);
    });
  });

  test('survive that the answer to a creation is lost: one key works, no orphan lives', async () => {
    await forEach('lost answer', async (one) => {
      const happened = one.loseCreation();
      const id = await rotate(one);
      expect((await followed(one, id)).phase).toBe('completed');
      expect(happened(), 'the answer was lost').toBe(true);
      expect([await one.takes(await read(one)), await one.live()]).toEqual([true, 1]);
    });
  });

  test('are revoked in one emergency of all types, and replaced', async () => {
    const leaked = new Map<PlayedUpstream, string>();
    for (const one of upstreams) leaked.set(one, await read(one));
    const names = upstreams.map(nameOf);
    const [ended] = await Promise.all([
      rekeyJson<EmergencyAnswer>(
        ['revoke', ...names, '--incident', 'INC-9', '--reason', 'test', '--yes', '--wait'],
        world.env,
        200_000,
      ),
      ...upstreams.map(endedByHand),
    ]);
    expect(ended.status).toBe('SUCCEEDED');
    await forEach('revoke', async (one) => {
      const replaced = await read(one);
      expect([await one.takes(leaked.get(one) ?? ''), await one.takes(replaced)]).toEqual([false, true]);
      expect(await one.live()).toBe(1);
    });
  });

  testRootByHand(() => ({ world, vault, watched, upstreams, rotate, entryOf }));
  testExposedKey(() => ({ world, upstreams, read }));
  testToldUses(() => ({ world, upstreams, read }));
  testEmergencyByHand(() => ({ world, upstreams, read }));
  testPrivateCertificates(() => ({ world, vault, watched, upstreams, read, rotate, inWindow, count }));
  testIdentitiesUnderLoad(() => ({ world, vault, watched, upstreams, read, rotate, inWindow, count }));

  test('leave fingerprints in the audit trail, and no key anywhere that can be read', async () => {
    await sleep(1000);
    await forEach('audit', async (one) => {
      const answer = await rekeyJson<AuditAnswer>(['audit', '--credential', nameOf(one)], world.env);
      const text = JSON.stringify(answer);
      expect(text).toContain('sha256:');
      const held = [JSON.parse(await read(one)), one.admin ?? {}] as Record<string, string>[];
      const names = [
        'apiKey',
        'secretAccessKey',
        'clientSecret',
        'client_secret',
        'adminKey',
        'hookToken',
        'registrationAccessToken',
        'token',
        'password',
        'keyArn',
        'authorityArn',
      ];
      const secrets = held.flatMap((each) => [
        ...names.flatMap((name) => each[name] ?? []),
        ...((each as { pool?: { value: string }[] }).pool?.map(({ value }) => value) ?? []),
        ...['private_key', 'privateKey'].flatMap((name) => {
          const pem = each[name];
          return pem === undefined ? [] : [ownLine(pem)];
        }),
      ]);
      secrets.push(...held.flatMap(({ jwk }) => (jwk as { d?: string } | undefined)?.d ?? []));
      expect(secrets).not.toEqual([]);
      expect(secrets.filter((each) => text.includes(each))).toEqual([]);
    });
  });

  testAdoptedKeys(() => ({ world, vault, watched, upstreams }));
  testFamilies(() => ({
    world,
    vault,
    watched,
    passed: (what) => (passes[FAMILIES] = [...(passes[FAMILIES] ?? []), what]),
  }));

  testDayWithoutRekey(() => ({ world, vault, watched, upstreams, read, rotate, inWindow, count }));
});
