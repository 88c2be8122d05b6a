import { randomUUID } from 'node:crypto';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { TAG } from '../../shared/names.ts';
import { FakeOpenAi } from '../fakes/openai.ts';
import type { FakeKey } from '../fakes/upstream.ts';
import type { EngineCase } from './engine-world.ts';

/** A bare key in a secret, both made by a person before Rekey; nothing is registered yet. */
export class ExistingKey implements AsyncDisposable {
  readonly one: EngineCase;
  readonly upstream: FakeOpenAi;
  readonly key: FakeKey;

  private constructor(one: EngineCase, upstream: FakeOpenAi) {
    this.one = one;
    this.upstream = upstream;
    this.key = upstream.keys.add('proj_1/sa_1', 'made by hand', 'sk-svcacct-');
  }

  static async make(one: EngineCase): Promise<ExistingKey> {
    one.change = (deps) => ({ ...deps, reach: { privateHosts: ['127.0.0.1'] } });
    const found = new ExistingKey(one, await FakeOpenAi.start());
    const secrets = {
      [one.secret]: found.key.value,
      [found.admin]: found.login(found.upstream.adminKey),
    };
    for (const [Name, SecretString] of Object.entries(secrets)) {
      await one.world.aws.json('secretsmanager', 'CreateSecret', { Name, SecretString });
    }
    await one.deps.vault.tag(one.secret, { [TAG.type]: 'llm-key', [TAG.stage]: 'local' });
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.upstream[Symbol.asyncDispose]();
  }

  /** Puts another login into the administrative secret, as a person does. */
  async logInBy(adminKey: string): Promise<void> {
    await this.one.world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: this.admin,
      ClientRequestToken: randomUUID(),
      SecretString: this.login(adminKey),
    });
  }

  private login(adminKey: string): string {
    return JSON.stringify({ adminKey, baseUrl: this.baseUrl });
  }

  private get admin(): string {
    return `llm-key/admin-${this.one.name}`;
  }

  private get baseUrl(): string {
    return `${this.upstream.server.url}/v1`;
  }

  declared(mode: CredentialEntry['mode'], changes: object = {}): CredentialEntry {
    const { one, admin, baseUrl } = this;
    return parseEntry({
      name: one.name,
      type: 'llm-key',
      provider: 'openai',
      secret: one.secret,
      adopt: true,
      admin,
      mode,
      target: { project: 'proj_1', serviceAccount: 'sa_1', label: one.name, baseUrl },
      holders: [{ kind: 'polling', name: 'fleet', ttl: '60s' }],
      policy: { evidenceOfUse: 'holders' },
      ...changes,
    });
  }

  /** What agents read. */
  async text(): Promise<string | undefined> {
    return (await this.one.deps.vault.read(this.one.secret, { stage: 'AWSCURRENT' }))?.reveal();
  }

  /** The names of the keys that live, and whether the one of before does. */
  living(): { names: string[]; isOldAlive: boolean } {
    const all = [...this.upstream.keys.all.values()];
    return { names: all.map(({ name }) => name), isOldAlive: all.some(({ id }) => id === this.key.id) };
  }
}
