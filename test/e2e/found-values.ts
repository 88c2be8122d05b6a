import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { beforeAll, describe, expect, test } from 'vitest';
import { tryLogin } from '../../local/demo/database.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { rekey } from '../../local/demo/rekey.ts';
import { follow } from '../../local/demo/scenario.ts';
import type { World } from '../../local/demo/world.ts';
import type { LeakAnswer } from '../../shared/api/messages.ts';
import { gatherTraces } from './canary.ts';
import { quiet, rotate, type Deployed } from './deployed.ts';

/** What `rekey revoke --leaked` does with values on a deployed stack. */
export function describeFoundValues(deployed: () => Deployed): void {
  describe('a value that was found somewhere', () => {
    let world: World;
    let vault: SecretsManagerClient;
    beforeAll(() => {
      ({ world, vault } = deployed());
    });

    const found: string[] = [];
    const leaked = async (value: string, ...flags: string[]) => {
      const args = ['revoke', '--leaked', '-', '--incident', 'INC-9', '--reason', 'seen in a chat', '--json'];
      const { status, stdout, stderr } = await rekey([...args, ...flags], world.env, 120_000, value);
      for (const each of found) expect(stdout + stderr).not.toContain(each);
      return { status, answer: JSON.parse(stdout || '{}') as Partial<LeakAnswer>, stderr };
    };

    test('and is live is revoked and replaced; the same value again is dead, which the database says', async () => {
      const login = await readLogin(vault, 'agents/reports');
      found.push(login.password);
      const json = JSON.stringify({ username: login.user, password: login.password }, null, 2);
      const unasked = await leaked(`${json}\n`);
      expect([unasked.status, unasked.stderr]).toEqual([2, expect.stringContaining('live (reports)')]);
      expect(await tryLogin(world.server, login)).toBe('accepted');
      const revoked = await leaked(`${json}\n`, '--yes', '--wait');
      expect(revoked).toMatchObject({
        status: 0,
        answer: { outcome: 'live', matches: [{ credential: 'reports' }], ended: { status: 'SUCCEEDED' } },
      });
      expect(await tryLogin(world.server, login)).toBe('refused');
      const replacement = await readLogin(vault, 'agents/reports');
      expect(await tryLogin(world.server, replacement)).toBe('accepted');

      const uri = `postgres://${login.user}:${login.password}@db.internal:5432/shop`;
      expect(await leaked(uri, '--yes')).toMatchObject({
        status: 6,
        answer: { outcome: 'dead', matches: [{ deactivation: { method: 'status-read' } }] },
      });
      expect(await tryLogin(world.server, replacement)).toBe('accepted');
    });

    test('and was rotated away is dead, also where its user has a later password, which goes on working', async () => {
      const old = await readLogin(vault, 'agents/orders');
      found.push(old.password);
      for (let round = 1; round <= 2; round++)
        await follow(world, 'orders', await rotate(world, 'orders'), quiet);
      const current = await readLogin(vault, 'agents/orders');
      expect(current.user).toBe(old.user);
      const { status, answer } = await leaked(old.password, '--yes');
      expect([status, answer.matches?.[0]?.deactivation?.detail]).toEqual([
        6,
        expect.stringContaining('a later generation is in the role'),
      ]);
      expect(await tryLogin(world.server, current)).toBe('accepted');
      expect(await tryLogin(world.server, old)).toBe('refused');
    });

    test('and is not ours is said to be so; nothing of any value is kept anywhere', async () => {
      const foreign = 'a-password-of-somebody-else-0123456789';
      found.push(foreign);
      expect(await leaked(foreign, '--yes')).toMatchObject({ status: 7, answer: { matches: [] } });
      const { events: _untapped, ...traces } = await gatherTraces(world, []);
      for (const [where, text] of Object.entries(traces)) {
        expect(text.length, `${where} is empty, so this would prove nothing`).toBeGreaterThan(500);
        expect(found.filter((value) => text.includes(value)).length, `values in ${where}`).toBe(0);
      }
    });
  });
}
