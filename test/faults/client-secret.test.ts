import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { namedAs } from '../../shared/providers/http/pool-entry.ts';
import { FakeClientSecrets } from '../fakes/client-secrets.ts';
import type { Login } from '../support/agents.ts';
import { EngineCase } from '../support/engine-case.ts';
import { EngineWorld } from '../support/engine-world.ts';

let world: EngineWorld;
let fake: FakeClientSecrets;
beforeAll(async () => {
  [world, fake] = await Promise.all([EngineWorld.start(), FakeClientSecrets.start()]);
});
afterAll(async () => {
  await Promise.all([fake[Symbol.asyncDispose](), world.stop()]);
});

let count = 0;

/** The life of a client's shared secret, which a person makes and deletes at the server. */
class ClientSecretCase extends EngineCase {
  override readonly declaration: CredentialEntry;
  readonly clientId: string;

  constructor(secretsAtOnce: number) {
    const number = 50_000 + ++count;
    super(world, { number, policy: {}, holders: [] });
    this.clientId = `client-${number}`;
    this.declaration = parseEntry({
      name: this.name,
      type: 'oauth-client',
      provider: 'client-secret',
      secret: this.secret,
      admin: `admin/${this.name}`,
      target: {
        clientId: this.clientId,
        label: 'crm',
        baseUrl: `${fake.server.url}/token`,
        secretsAtOnce,
      },
      holders: [{ kind: 'polling', name: 'coordinator', ttl: '120s' }],
      policy: { evidenceOfUse: 'holders' },
    });
    const readAdmin = async () =>
      Promise.resolve(new Redacted(JSON.stringify({ baseUrl: fake.server.url, pool: this.pool })));
    this.change = (deps) => ({ ...deps, readAdmin, reach: { privateHosts: ['127.0.0.1'] } });
  }

  get pool() {
    return fake.console.pool.filter(({ id }) => id.startsWith(`${this.clientId}-`));
  }

  override async login(
    select: { versionId?: string; stage?: 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS' } = {
      stage: 'AWSCURRENT',
    },
  ): Promise<Login> {
    const text = await this.deps.vault.read(this.secret, select);
    if (text === undefined) throw new Error('the secret has no such value');
    const fields = JSON.parse(text.reveal()) as { client_secret: string; client_secret_id: string };
    return { user: fields.client_secret_id, password: fields.client_secret };
  }

  override works({ password }: Login): Promise<boolean> {
    return fake.takes(this.clientId, password);
  }

  override async openSlots(): Promise<string[]> {
    const inUse = await this.login();
    const open = fake.keys.of(this.clientId);
    return open.map(({ name, value }) => (value === inUse.password ? inUse.user : name));
  }

  /** Makes a secret at the server, in the place of the former one. */
  replaceAtServer(): void {
    for (const { name } of fake.keys.of(this.clientId)) fake.console.delete(name);
    fake.console.fill(this.clientId, 1);
  }
}

test('the secret of a client that may have one is moved to although the former one is dead, and nobody is asked', async () => {
  const one = new ClientSecretCase(1);
  one.replaceAtServer();
  await one.register();
  const before = await one.login();
  one.replaceAtServer();
  const token = await one.rotate();
  expect(await one.rotation(token)).toMatchObject({ phase: 'completed' });
  expect(await one.actions()).not.toContain('awaiting-operator');
  expect([await one.works(before), await one.works(await one.login())]).toEqual([false, true]);
  expect(await one.faults()).toEqual([]);
});

test('the secret of a client that may have two is not replaced where it does not work: somebody else has done that', async () => {
  const one = new ClientSecretCase(2);
  fake.console.fill(one.clientId, 2);
  await one.register();
  fake.console.delete(namedAs((await one.login()).user));
  const token = await one.requestRotation();
  await one.until(({ phase }) => phase === 'aborting', token);
  expect((await one.rotation(token)).failure?.message).toContain('the current credential does not work');
});
