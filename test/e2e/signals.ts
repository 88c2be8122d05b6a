// What sources of signals do to a deployed stack: values of its database that GitHub, a partner's feed and a SIEM have found.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { agentsCredential } from '../../local/demo/agent.ts';
import { tryLogin } from '../../local/demo/database.ts';
import { readLogin, startFleet } from '../../local/demo/fleet.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { responderEnv } from '../../local/demo/responder.ts';
import { follow } from '../../local/demo/scenario.ts';
import { deliver, type LocalSources } from '../../local/signals.ts';
import type {
  AuditAnswer,
  HeldSignalAnswer,
  HeldSignalsAnswer,
  ShowAnswer,
} from '../../shared/api/messages.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { OUTPUT } from '../../shared/names.ts';
import { apply, quiet, type Deployed } from './deployed.ts';
import { runningOf } from './upgrading.ts';

/** More than one signal may halt. */
const MANY = 340;
/** So are these, and with those no more than suspensions may stop. */
const SOME = 100;

/** What signals do without a person in this deployment. */
export const CAPS = { maxCredentials: 1, maxAgents: 50, breakGlassMinutes: 1 };

/** What sources without values call the credentials of these tests. */
export const MAPPED = { risc: { 'account-7': 'subject' }, azure: { 'shop-vault/near': 'near' } };

/** Tests of the intake of signals on a deployed stack. */
export function describeSignals(given: () => Deployed & { readonly sources: LocalSources }): void {
  describe('a source of signals', () => {
    let { world, vault, sources } = {} as ReturnType<typeof given>;
    const env: Record<string, Readonly<Record<string, string>>> = {};

    const declare = async (name: string, agents = 2): Promise<void> => {
      const policy = { interval: '1d', window: '5s', deadline: '60s', cap: '5m', soak: '1s' };
      const holders = [{ kind: 'polling', name: `${name}-agents`, ttl: '2s', agents }];
      const credential = await agentsCredential(world, name, { policy, holders });
      expect(await apply(world, credential)).toMatchObject({ status: 0 });
    };
    const login = (name: string) => readLogin(vault, `agents/${name}`);
    const dies = async (old: Awaited<ReturnType<typeof login>>): Promise<void> => {
      await expect
        .poll(() => tryLogin(world.server, old), { timeout: 60_000, interval: 100 })
        .toBe('refused');
    };
    /** Once agents have a value that works, and it is over: what was suspended before was refused from the start. */
    const recovers = async (name: string): Promise<void> => {
      await expect
        .poll(async () => tryLogin(world.server, await login(name)), { timeout: 60_000, interval: 200 })
        .toBe('accepted');
      await expect
        .poll(() => rekeyJson<ShowAnswer>(['show', name], world.env), { timeout: 60_000, interval: 500 })
        .toMatchObject({ credential: { status: 'active' } });
    };
    /** What is on record of one credential: others may still be at work. */
    const trail = async (name: string): Promise<Pick<AuditAnswer, 'records' | 'rotations' | 'events'>> => {
      const audit = ['audit', '--credential', name];
      const { records, rotations, events } = await rekeyJson<AuditAnswer>(audit, world.env);
      return { records, rotations, events };
    };

    beforeAll(async () => {
      ({ world, vault, sources } = given());
      for (const name of ['alice', 'bob']) env[name] = await responderEnv(world, name);
      for (const name of ['leaky', 'doubted', 'subject', 'near']) await declare(name);
      for (const name of ['shared', 'alone']) await declare(name, MANY);
      await declare('mistaken', SOME);
    }, 120_000);

    test('GitHub tells of a value that works: it dies at the database, agents go on, and neither a replay nor a forgery does anything', async () => {
      const old = await login('leaky');
      const fleet = startFleet(world.server, world.stack, {
        agents: 2,
        secret: 'agents/leaky',
        ttlSeconds: 2,
        query: 'INSERT INTO shop.orders DEFAULT VALUES',
        pauseMs: 50,
      });
      try {
        await expect.poll(() => fleet.counts.queries, { timeout: 20_000 }).toBeGreaterThan(0);
        const sent = sources.found('acme/shop', old.password);
        expect(await deliver(world, 'github', sent)).toEqual({ status: 202, body: '{"received":1}' });
        await dies(old);
        await recovers('leaky');
        const before = fleet.counts.queries;
        await expect.poll(() => fleet.counts.queries, { timeout: 20_000 }).toBeGreaterThan(before + 5);
        const { rotations } = await rekeyJson<ShowAnswer>(['show', 'leaky'], world.env);
        expect(rotations.map(({ trigger }) => trigger)).toMatchObject([
          { kind: 'emergency', actor: 'signal:github' },
        ]);

        // The machine has more to record once agents work again.
        await expect
          .poll(() => runningOf(world, OUTPUT.emergency), { timeout: 60_000, interval: 500 })
          .toEqual([]);
        const recorded = await trail('leaky');
        expect((await deliver(world, 'github', sent)).status).toBe(202);
        const forged = { ...sent, body: sent.body.replace('"created"', '"reopened"') };
        expect((await deliver(world, 'github', forged)).status).toBe(403);
        const { headers: _unsigned, ...unsigned } = sent;
        expect((await deliver(world, 'github', { ...unsigned, headers: {} })).status).toBe(403);
        expect((await deliver(world, 'siem', sent)).status).toBe(403);
        await sleep(2000);
        expect(await trail('leaky')).toEqual(recorded);
      } finally {
        await fleet.stop();
      }
    });

    test('GitHub has not tried a value: it is rotated, and nobody is halted', async () => {
      const old = await login('doubted');
      const sent = sources.found('acme/shop', old.password, 'unknown');
      expect((await deliver(world, 'github', sent)).status).toBe(202);
      const { credential, rotations } = await rekeyJson<ShowAnswer>(['show', 'doubted'], world.env);
      expect([credential.status, rotations]).toMatchObject(['active', [{ trigger: { kind: 'signal' } }]]);
      expect(await tryLogin(world.server, old)).toBe('accepted');
      expect(await follow(world, 'doubted', rotations[0]?.id ?? '', quiet)).toMatchObject({
        phase: 'completed',
      });
      expect(await tryLogin(world.server, old)).toBe('refused');
    });

    test('who proves no value revokes nothing: a transmitter and Event Grid have what they name rotated, GitGuardian has a person look', async () => {
      const question = sources.eventGrid('Microsoft.EventGrid.SubscriptionValidationEvent', {
        validationCode: 'code-1',
      });
      expect(await deliver(world, 'azure', { ...question, query: '?key=guessed' })).toMatchObject({
        status: 403,
      });
      expect(await deliver(world, 'azure', question)).toEqual({
        status: 200,
        body: '{"validationResponse":"code-1"}',
      });
      const incident = sources.gitguardian({ validity: 'valid', date: new Date().toISOString() });
      expect(await deliver(world, 'gitguardian', { ...incident, body: `${incident.body} ` })).toMatchObject({
        status: 403,
      });
      expect(await deliver(world, 'gitguardian', incident)).toEqual({ status: 202, body: '{"received":1}' });

      const compromised = await sources.compromised('account-7');
      const [header, claims, signature = ''] = compromised.body.split('.');
      const forged = `${header}.${claims}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
      expect(await deliver(world, 'risc', { ...compromised, body: forged })).toMatchObject({ status: 403 });

      const nearExpiry = sources.eventGrid('Microsoft.KeyVault.SecretNearExpiry', {
        VaultName: 'shop-vault',
        ObjectName: 'near',
      });
      for (const [name, source, sent] of [
        ['subject', 'risc', compromised],
        ['near', 'azure', nearExpiry],
      ] as const) {
        const old = await login(name);
        expect(await deliver(world, source, sent)).toMatchObject({ status: 202 });
        expect(await tryLogin(world.server, old)).toBe('accepted');
        const { credential, rotations } = await rekeyJson<ShowAnswer>(['show', name], world.env);
        expect([credential.status, rotations.map(({ trigger }) => trigger)]).toMatchObject([
          'active',
          [{ kind: 'signal', actor: `signal:${source}` }],
        ]);
        expect(await follow(world, name, rotations[0]?.id ?? '', quiet)).toMatchObject({
          phase: 'completed',
        });
        expect(await tryLogin(world.server, old)).toBe('refused');
      }
    });

    test("GitHub's feed for partners has a value: it dies, by a key that GitHub publishes", async () => {
      const old = await login('doubted');
      const sent = sources.github.feed(['a-value-of-nobody-0123456789', old.password]);
      expect(await deliver(world, 'github-partner', { ...sent, body: `${sent.body} ` })).toMatchObject({
        status: 403,
      });
      expect((await deliver(world, 'github-partner', sent)).status).toBe(202);
      await dies(old);
      await recovers('doubted');
    });

    test('what would halt too many agents is held, and suspended as far as the cap goes: a denial restores it, two responders revoke it, or one alone after the time for that', async () => {
      const old = {
        shared: await login('shared'),
        mistaken: await login('mistaken'),
        alone: await login('alone'),
      };
      const told = Object.entries(old).map(([name, { password }]) => ({
        id: name,
        fingerprints: [fingerprint(new Redacted(password))],
        verified: true,
      }));
      expect((await deliver(world, 'siem', sources.siem(told))).status).toBe(202);
      const { signals } = await rekeyJson<HeldSignalsAnswer>(['incident', 'held'], env['alice'] ?? {});
      const idOf = (name: string): string =>
        signals.find(({ credentials }) => credentials.includes(name))?.id ?? '';
      const why = (agents: number): string => `it would halt ${agents} agents, more than 50`;
      expect(signals.map((each) => [each.credentials, each.why, each.reporter, each.suspends])).toEqual([
        [['shared'], why(MANY), 'signal:siem', true],
        [['mistaken'], why(SOME), 'signal:siem', true],
        [['alone'], why(MANY), 'signal:siem', undefined],
      ]);
      const approve = async (who: string, name: string, ...flags: string[]) => {
        const args = ['incident', 'approve', idOf(name), '--reason', 'seen it', '--json', ...flags];
        const { stdout, stderr } = await rekey(args, env[who] ?? {});
        const { signal } = JSON.parse(stdout || '{}') as Partial<HeldSignalAnswer>;
        return signal?.status ?? (/ERR_\w+/.exec(stderr)?.[0] || stderr);
      };
      expect(await approve('bob', 'alone', '--break-glass')).toBe('ERR_FORBIDDEN');
      await dies(old.shared);
      await dies(old.mistaken);
      const denial = ['incident', 'deny', idOf('mistaken'), '--reason', 'a test value', '--json'];
      expect((await rekey(denial, env['alice'] ?? {})).status).toBe(0);
      await expect
        .poll(() => tryLogin(world.server, old.mistaken), { timeout: 60_000, interval: 100 })
        .toBe('accepted');
      // Nothing is replaced until people decide.
      expect(await approve('alice', 'shared')).toBe('held');
      expect(await approve('alice', 'shared')).toBe('held');
      expect(await login('shared')).toEqual(old.shared);
      expect(await approve('bob', 'shared')).toBe('approved');
      await recovers('shared');
      expect(await tryLogin(world.server, old.shared)).toBe('refused');

      const glassAt = Date.parse(signals.find(({ id }) => id === idOf('alone'))?.glassAt ?? '');
      await sleep(Math.max(0, glassAt - Date.now()) + 500);
      // What is above the cap of suspensions works until then.
      expect(await tryLogin(world.server, old.alone)).toBe('accepted');
      expect(await approve('bob', 'alone', '--break-glass')).toBe('approved');
      await dies(old.alone);
      await recovers('alone');
    });
  });
}
