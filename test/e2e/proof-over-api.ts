// An agent without the client library, which says by itself that it has moved.
import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { agentRole } from '../../local/demo/agent.ts';
import { tryLogin } from '../../local/demo/database.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import { follow } from '../../local/demo/scenario.ts';
import type { World } from '../../local/demo/world.ts';
import type { PactShownAnswer, UsesAnswer } from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { Instance } from '../support/agent-api.ts';
import { callAs } from './deployed-agent.ts';
import { apply, quiet, rotate } from './deployed.ts';
import { reaches } from './upgrading.ts';
import { archivedUses } from './incident-report.ts';

/** A test of one agent and one rotation, from its pact to the end of the old credential. */
export function describeProofOverApi(
  given: () => { readonly world: World; readonly vault: SecretsManagerClient },
): void {
  test('an agent proves over the agent API that it has moved, and only then the old credential dies', async () => {
    const { world, vault } = given();
    const principal = await agentRole(world, 'shopper');
    const good = databaseCredential(world.server, 'shop', 'shop_app', 'shopper');
    const holders = [{ kind: 'client', name: 'shopper', principal }];
    expect(await apply(world, { ...good, holders })).toMatchObject({ status: 0 });
    const [own, stranger] = await Promise.all([
      callAs(world, principal),
      agentRole(world, 'stranger').then((arn) => callAs(world, arn)),
    ]);
    const pact = {
      version: 1,
      agent: 'shopper',
      credentials: [
        { credential: 'shop', refresh: 'in-session', ttl: '2s', staleLimit: '10s', uses: 'unreported' },
      ],
      sessionLimit: '1h',
    };
    expect(await stranger.call('PUT', '/agents/shopper/pact', pact)).toMatchObject({
      status: 403,
      body: { code: 'ERR_FORBIDDEN' },
    });
    expect(await own.call('PUT', '/agents/shopper/pact', pact)).toMatchObject({ status: 200 });
    const instance = await Instance.make(own, 'host-1', 'HS256', 'shopper');
    const opened = await instance.open();
    expect(opened).toMatchObject({ status: 201, body: { notices: [{ state: 'steady' }] } });
    const [before] = opened.body['notices'] as Record<string, string>[];
    const old = await readLogin(vault, 'agents/shop');
    const id = await rotate(world, 'shop');
    await reaches(world, 'shop', id, 'window');
    // Longer than the window: without the proof nothing ends.
    await sleep(7000);
    expect(await tryLogin(world.server, old)).toBe('accepted');
    const [notice] = (await instance.say('notices')).body['notices'] as Record<string, string>[];
    expect(notice).toMatchObject({ state: 'window', rotation: id, acknowledge: true });
    const { SecretString = '' } = await vault.send(
      new GetSecretValueCommand({ SecretId: 'agents/shop', VersionId: notice?.['versionId'] }),
    );
    const about = {
      credential: 'shop',
      rotation: id,
      versionId: notice?.['versionId'] ?? '',
      fingerprint: notice?.['fingerprint'] ?? '',
    };
    expect(await instance.acknowledge(about, 'guessed')).toMatchObject({ body: { code: 'ERR_PROOF' } });
    expect(await instance.holds(about.versionId, 'shop')).toMatchObject({ status: 200 });
    const use = { credential: 'shop', versionId: about.versionId, succeeded: 1, refused: 0 };
    const at = toInstant(Date.now());
    expect(await instance.report([{ ...use, from: at, to: at }])).toMatchObject({ status: 200 });
    const told = { agent: 'shopper', succeeded: 1, used_from: at };
    expect((await rekeyJson<UsesAnswer>(['uses', 'shop'], world.env)).uses).toMatchObject([
      { agent: 'shopper', version: about.versionId, succeeded: 1, from: at },
    ]);
    await expect.poll(() => archivedUses(world), { timeout: 20_000 }).toMatchObject([told]);
    expect(await instance.acknowledge(about, SecretString)).toMatchObject({ status: 200 });
    const shown = await rekeyJson<PactShownAnswer>(['pacts', 'show', 'shopper'], world.env);
    expect(shown.sessions).toMatchObject([{ instance: 'host-1', state: 'running' }]);
    expect(await follow(world, 'shop', id, quiet)).toMatchObject({ phase: 'completed' });
    expect(await tryLogin(world.server, old)).toBe('refused');
    // It holds what is dead now, and says so after it has acknowledged.
    expect((await instance.holds(before?.['versionId'] ?? '', 'shop')).body['notices']).toMatchObject([
      { urgent: true },
    ]);
    expect(await instance.close()).toMatchObject({ status: 200 });
  });
}
