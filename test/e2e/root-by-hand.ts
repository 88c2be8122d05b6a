import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { AuditAnswer, ConfirmRootAnswer } from '../../shared/api/messages.ts';
import type { Leading } from './identities-under-load.ts';
import { nameOf, playedAs, type PlayedUpstream } from './upstreams/played.ts';

interface Given extends Pick<Leading, 'world' | 'vault' | 'watched' | 'upstreams' | 'rotate'> {
  /** As it is declared. */
  readonly entryOf: (one: PlayedUpstream) => object;
}

/** An administrative key that Rekey can't make, among keys of HTTP upstreams on the deployed stack. */
export function testRootByHand(given: () => Given): void {
  test('have a root that its owner replaces by hand: it comes due, pages, and is done once the new one is let in', async () => {
    const { world, vault, watched, upstreams, rotate, entryOf } = given();
    const openai = playedAs('llm-key/openai', upstreams);
    if (openai.newAdmin === undefined) throw new Error('nobody makes another administrator of OpenAI');
    const secret = `agents/admin/${openai.key}`;
    const name = 'openai-by-hand';
    const times = { interval: '20s', window: '2s', deadline: '2s', cap: '3s', soak: '0s' };
    const root = {
      name,
      provider: 'by-hand',
      secret,
      owner: 'platform',
      scope: 'keys of one project',
      target: { upstream: 'openai' },
      policy: times,
    };
    const file = join(world.dir, 'roots.yaml');
    await writeFile(file, stringify({ version: 1, credentials: [entryOf(openai)], roots: [root] }));
    await rekeyJson(['apply', '-f', file], world.env);
    const told = async (): Promise<string> =>
      JSON.stringify(await rekeyJson<AuditAnswer>(['audit', '--credential', name], world.env));
    await expect.poll(told, { timeout: 120_000, interval: 2000 }).toContain('rotation-overdue');
    const { roots } = await rekeyJson<{ roots: { name: string; overdue: boolean; usedBy: string[] }[] }>(
      ['roots'],
      world.env,
    );
    expect(roots).toContainEqual(expect.objectContaining({ name, overdue: true, usedBy: [nameOf(openai)] }));

    const confirm = (): Promise<ConfirmRootAnswer> =>
      rekeyJson<ConfirmRootAnswer>(['confirm', name], world.env);
    await expect(confirm()).rejects.toThrow();
    const put = async (value: object): Promise<unknown> =>
      vault.send(new PutSecretValueCommand({ SecretId: secret, SecretString: JSON.stringify(value) }));
    const value = openai.newAdmin();
    await put({ ...value, adminKey: 'sk-admin-mistyped' });
    await expect(confirm()).rejects.toThrow();
    await put(value);
    expect(await confirm()).toMatchObject({ outcome: 'confirmed', letIn: [nameOf(openai)] });
    expect(await told()).toContain('task-confirmed');
    const id = await rotate(openai);
    expect((await watched.over(nameOf(openai), id)).phase).toBe('completed');
  });
}
