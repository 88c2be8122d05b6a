import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OAuthServer } from '../../shared/adapters/oauth-server.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import { tend } from '../../shared/engine/families/tend.ts';
import { clientSecretProvider as provider } from '../../shared/providers/client-secret/provider.ts';
import type { KeyMaterial } from '../../shared/providers/http/material.ts';
import type { Issued, ProviderContext } from '../../shared/providers/provider.ts';
import { toDelete } from '../fakes/console-keys.ts';
import { MemoryClaims } from '../support/claims.ts';
import { TERMS } from '../support/families.ts';
import { consent } from '../support/family-load.ts';
import { FamilyWorld, type FamilyCase } from '../support/family-world.ts';
import { CLIENT, OidcServer } from '../support/oidc.ts';

/** Token families of one client at a real server, refreshed without pause while the client's shared secret is replaced. */
const FAMILIES = 3;
const ROTATIONS = 3;
const SECRET = 'agents/tools-client';
const OPERATOR = { kind: 'operator', actor: 'arn:operator' } as const;

let world: FamilyWorld;
beforeAll(async () => {
  world = await FamilyWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** The server, the vault and the person at the console, who fills the pool and deletes what they are told to. */
class Client {
  readonly pool: { id: string; value: string }[] = [];
  readonly secret = `${SECRET}-${randomUUID()}`;
  readonly oidc: OidcServer;
  readonly target: ReturnType<typeof provider.target>;
  readonly #claims = new MemoryClaims();
  #generation = 0;
  #version = '';

  constructor(oidc: OidcServer) {
    this.oidc = oidc;
    this.target = provider.target({
      clientId: CLIENT.client_id,
      label: 'tools',
      baseUrl: `${oidc.issuer}/token`,
    });
  }

  get ctx(): ProviderContext {
    return {
      clock: Date.now,
      reach: { privateHosts: ['127.0.0.1'] },
      claims: this.#claims.of('tools'),
      admin: async () =>
        Promise.resolve(new Redacted(JSON.stringify({ baseUrl: this.oidc.issuer, pool: this.pool }))),
    };
  }

  fill(): void {
    this.pool.push({ id: `by-hand-${this.pool.length}`, value: this.oidc.newSecret(CLIENT.client_id) });
  }

  delete(id: string): void {
    const { value = '' } = this.pool.find((entry) => entry.id === id) ?? {};
    this.oidc.secrets.get(CLIENT.client_id)?.delete(value);
  }

  /** The steps up to the cut-over, in the engine's order; `put` is where the vault gets what is issued. */
  async next(put: (text: Redacted<string>, token: string) => Promise<unknown>): Promise<Taken> {
    const [token, generation] = [randomUUID(), ++this.#generation];
    const issued = await provider.issue(this.target, token, { ...this.ctx, generation });
    await put(provider.serialize(issued.material), token);
    await provider.activate?.(this.target, token, issued, this.ctx);
    await provider.verify(this.target, issued.material, this.ctx);
    return issued;
  }

  async first(): Promise<Taken> {
    this.fill();
    return this.next(async (text, token) => {
      await world.aws.json('secretsmanager', 'CreateSecret', {
        Name: this.secret,
        ClientRequestToken: token,
        SecretString: text.reveal(),
      });
      this.#version = token;
    });
  }

  /** A rotation as the engine leads it: beside the old one, tested, moved to; the old one ended by a person after the window. */
  async rotate({ vault }: FamilyCase, old: Taken, window: () => Promise<void>): Promise<Taken> {
    this.fill();
    let to = '';
    const issued = await this.next((text, token) => vault.put(this.secret, (to = token), text, 'AWSPENDING'));
    await window();
    await vault.promote(this.secret, { to, from: this.#version });
    this.#version = to;
    await window();
    const end = async () => provider.revoke(this.target, old.handle, { endSessions: false }, this.ctx);
    const asked = await end();
    expect(asked).toMatchObject({ confirmed: false });
    for (const id of toDelete(asked.byHand ?? '')) this.delete(id);
    expect(await end()).toMatchObject({ confirmed: true, method: 'negative-authentication' });
    await window();
    return issued;
  }
}

type Taken = Issued<KeyMaterial>;

/** Families of the client, consented to. */
async function familiesOf(client: Client): Promise<{ one: FamilyCase; deps: FamilyDeps }[]> {
  const server = new OAuthServer({ privateHosts: ['127.0.0.1'] });
  const terms = {
    server: { issuer: client.oidc.issuer },
    client: { ...TERMS.client, id: CLIENT.client_id, secret: client.secret },
    graceSeconds: 60,
  };
  client.oidc.behaviour.graceMs = 60_000;
  return Promise.all(
    Array.from({ length: FAMILIES }, async () => {
      const one = await world.registered(terms);
      one.now = Date.now();
      const deps = { ...one.deps, server };
      const given = await consent(client.oidc, one.terms);
      await connectFamily(deps, { name: one.name, consent: given, trigger: OPERATOR });
      return { one, deps };
    }),
  );
}

/** Refreshes every family again and again. */
class Refreshes {
  done = 0;
  readonly failures: string[] = [];
  #isOver = false;
  readonly #work: Promise<void>[];

  constructor(families: readonly { one: FamilyCase; deps: FamilyDeps }[]) {
    this.#work = families.map(async ({ one, deps }) => {
      const { id } = await one.family();
      while (!this.#isOver) {
        one.now = Math.max(one.now, Date.now());
        const { outcome } = await tend(deps, id, { forced: true });
        if (outcome === 'refreshed') this.done++;
        else this.failures.push(outcome);
        await sleep(10);
      }
    });
  }

  /** Waits until each family was looked at a few times more. */
  async goOn(): Promise<void> {
    const looks = (): number => this.done + this.failures.length;
    for (const wanted = looks() + 3 * FAMILIES; looks() < wanted;) await sleep(5);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#work);
  }
}

describe('families of a client whose shared secret is replaced three times', () => {
  test('are refreshed without a refusal where Rekey rotates it, and the former one is dead each time', async () => {
    await using oidc = await OidcServer.start();
    const client = new Client(oidc);
    let current = await client.first();
    const families = await familiesOf(client);
    const [first] = families;
    if (first === undefined) throw new Error('there is no family');
    const refreshes = new Refreshes(families);
    for (let round = 0; round < ROTATIONS; round++) {
      const old = current;
      current = await client.rotate(first.one, old, async () => refreshes.goOn());
      const refused = provider.verify(client.target, old.material, client.ctx);
      await expect(refused).rejects.toMatchObject({ code: 'ERR_REJECTED' });
    }
    await refreshes.stop();
    expect(refreshes.failures).toEqual([]);
    expect(refreshes.done).toBeGreaterThanOrEqual(3 * FAMILIES * ROTATIONS);
    expect([...oidc.revokedByReuse, ...oidc.revokedOnRequest]).toEqual([]);
    for (const { one } of families) {
      expect(await one.family()).toMatchObject({ status: 'active' });
      expect(await one.actions()).not.toContain('consent-needed');
    }
  }, 120_000);

  test('are refused where a person replaces it at the server first and in the vault then: that is what the test can see', async () => {
    await using oidc = await OidcServer.start();
    const client = new Client(oidc);
    await client.first();
    const families = await familiesOf(client);
    const refreshes = new Refreshes(families);
    for (let round = 0; round < ROTATIONS; round++) {
      const { id = '' } = client.pool.at(-1) ?? {};
      client.fill();
      client.delete(id);
      await refreshes.goOn();
      await world.aws.json('secretsmanager', 'PutSecretValue', {
        SecretId: client.secret,
        SecretString: JSON.stringify({ client_secret: client.pool.at(-1)?.value }),
      });
      await refreshes.goOn();
    }
    await refreshes.stop();
    expect(refreshes.failures.length).toBeGreaterThan(0);
    expect(oidc.revokedByReuse.size).toBe(0);
  }, 120_000);
});
