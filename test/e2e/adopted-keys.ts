import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { AuditAnswer, RotateAnswer } from '../../shared/api/messages.ts';
import { CAPABILITIES } from '../../shared/domain/capabilities.ts';
import { TAG } from '../../shared/names.ts';
import type { PlayedUpstream } from './upstreams/played.ts';
import { settledFewAtATime, type Watched } from './watched.ts';

/** A key that a person has made, as a secret holds it, and what its target is declared as. */
export interface ExistingKey {
  readonly secret: object;
  readonly target: object;
}

interface Adopting {
  readonly world: World;
  readonly vault: SecretsManagerClient;
  readonly watched: Watched;
  readonly upstreams: readonly PlayedUpstream[];
}

/** Keys that people have made are found by an import, adopted as they are, and rotated away. */
export function testAdoptedKeys(deployed: () => Adopting): void {
  test('that a person has made are imported, adopted as they are, rotated, and dead then', async () => {
    const { world, vault, watched, upstreams } = deployed();
    const found = await Promise.all(
      upstreams.flatMap((one) => {
        const existing = one.existing?.();
        return existing === undefined ? [] : [existing.then((key) => ({ one, ...key, ...namesOf(one) }))];
      }),
    );
    for (const { one, name, secretName, secret } of found) {
      const text = JSON.stringify(secret);
      const Tags = [
        { Key: TAG.type, Value: one.entry.type },
        { Key: TAG.stage, Value: 'local' },
      ];
      await vault.send(new CreateSecretCommand({ Name: secretName, SecretString: text, Tags }));
      expect(await one.takes(text), name).toBe(true);
    }
    const read = async (SecretId: string): Promise<string> =>
      (await vault.send(new GetSecretValueCommand({ SecretId }))).SecretString ?? '';

    const kinds = found.flatMap(({ one, secretName }) => ['--as', `${secretName}=${one.key}`]);
    const names = found.map(({ secretName }) => secretName);
    const { entries } = await rekeyJson<{ entries: { secret: string; target: object }[] }>(
      ['import', ...names, ...kinds],
      world.env,
    );
    expect(entries.map(({ secret }) => secret).toSorted()).toEqual(names.toSorted());
    const credentials = found.map(({ one, name, secretName, target }) => ({
      ...entries.find(({ secret }) => secret === secretName),
      name,
      mode: 'enforce',
      ...(one.admin === undefined ? {} : { admin: `agents/admin/${one.key}` }),
      target,
      policy: {
        window: '20s',
        deadline: '90s',
        cap: '5m',
        ...(CAPABILITIES[one.key].canSuspend ? { soak: '1s' } : {}),
        interval: '14d',
        evidenceOfUse: 'holders',
      },
      holders: [{ kind: 'polling', name: `${name}-agents`, ttl: '2s' }],
    }));
    const file = join(world.dir, 'adopted.yaml');
    await writeFile(file, stringify({ version: 1, credentials }));
    await rekeyJson(['apply', '-f', file], world.env);

    const outcomes = await settledFewAtATime(found, async ({ one, name, secretName, secret }) => {
      const old = JSON.stringify(secret);
      expect(await read(secretName)).toBe(old);
      const { rotation } = await rekeyJson<RotateAnswer>(['rotate', name], world.env);
      expect((await watched.over(name, rotation.id)).phase).toBe('completed');
      const next = await read(secretName);
      expect(Object.keys(JSON.parse(next) as object)).toEqual(Object.keys(secret));
      expect([await one.takes(old), await one.takes(next)]).toEqual([false, true]);
      const { rotations } = await rekeyJson<AuditAnswer>(['audit', '--credential', name], world.env);
      expect(rotations.map(({ deactivation }) => deactivation)).toEqual(['CONFIRMED']);
    });
    const failures = outcomes.flatMap((outcome, at) =>
      outcome.status === 'rejected' ? [`${found[at]?.name}: ${String(outcome.reason)}`] : [],
    );
    expect(failures).toEqual([]);
    expect(found.length).toBeGreaterThan(4);
  });
}

function namesOf({ key }: PlayedUpstream): { readonly name: string; readonly secretName: string } {
  const name = `adopted-${key.replace('/', '-')}`;
  return { name, secretName: `agents/${name}` };
}
