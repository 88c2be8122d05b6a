import { randomUUID } from 'node:crypto';
import { parseDeclaration, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { confirmRoot, type ConfirmRootAnswer } from '../../shared/engine/confirm-root.ts';
import { TAG } from '../../shared/names.ts';
import { FakeOpenAi } from '../fakes/openai.ts';
import { OPERATOR } from './engine-case.ts';
import type { EngineCase } from './engine-world.ts';

/** An administrative secret of Rekey's own, which a person has made; nothing is registered yet. */
export class RootCase implements AsyncDisposable {
  readonly one: EngineCase;
  readonly upstream: FakeOpenAi;

  private constructor(one: EngineCase, upstream: FakeOpenAi) {
    this.one = one;
    this.upstream = upstream;
  }

  static async make(one: EngineCase, tags: Readonly<Record<string, string>> = {}): Promise<RootCase> {
    one.change = (deps) => ({ ...deps, reach: { privateHosts: ['127.0.0.1'] } });
    const made = new RootCase(one, await FakeOpenAi.start());
    await made.create(one.secret, made.upstream.adminKey, tags);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.upstream[Symbol.asyncDispose]();
  }

  /** A secret with an administrative key, tagged as its owner does. */
  async create(name: string, adminKey: string, tags: Readonly<Record<string, string>> = {}): Promise<void> {
    const { aws } = this.one.world;
    await aws.json('secretsmanager', 'CreateSecret', { Name: name, SecretString: this.text(adminKey) });
    const own = { [TAG.admin]: 'llm-key', [TAG.type]: 'root', [TAG.stage]: 'local', ...tags };
    await this.one.deps.vault.tag(name, own);
  }

  /** Puts another value into the secret, as a person does: an admin key of OpenAI, or all that it has. */
  async put(value: string | object): Promise<void> {
    await this.one.world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: this.one.secret,
      ClientRequestToken: randomUUID(),
      SecretString: typeof value === 'string' ? this.text(value) : JSON.stringify(value),
    });
  }

  private text(adminKey: string): string {
    return JSON.stringify({ adminKey, baseUrl: this.baseUrl, note: 'of the platform team' });
  }

  private get baseUrl(): string {
    return `${this.upstream.server.url}/v1`;
  }

  /** As `roots:` of a declaration file has it. */
  declared(changes: object = {}): CredentialEntry {
    const { one, baseUrl } = this;
    const root = {
      name: one.name,
      provider: 'openai-admin',
      secret: one.secret,
      owner: 'platform',
      scope: 'API keys of the project shop',
      target: { label: one.name, baseUrl },
      policy: { interval: '60d', evidenceOfUse: 'holders' },
      ...changes,
    };
    const { secret, ...credential } = one.declaration;
    const { roots } = parseDeclaration({
      version: 1,
      credentials: [{ ...credential, name: 'another', secret: `${secret}-another` }],
      roots: [root],
    });
    const [entry] = roots;
    if (entry === undefined) throw new Error('no root is declared');
    return entry;
  }

  /** The same, where a person replaces it. */
  byHand(changes: object = {}): CredentialEntry {
    return this.declared({ provider: 'by-hand', target: { upstream: 'openai' }, ...changes });
  }

  /** What Rekey's functions read. */
  async login(): Promise<string> {
    const text = await this.one.deps.vault.read(this.one.secret, { stage: 'AWSCURRENT' });
    return (JSON.parse(text?.reveal() ?? '{}') as { adminKey: string }).adminKey;
  }

  /** Whether OpenAI lets an admin key in. */
  async takes(adminKey: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${adminKey}` };
    return (await fetch(`${this.baseUrl}/organization/admin_api_keys?limit=1`, { headers })).ok;
  }

  async confirm(dryRun = false): Promise<ConfirmRootAnswer> {
    const credentialId = await this.one.id();
    return this.one.process((deps) =>
      confirmRoot(deps, { credentialId, trigger: OPERATOR, letIn: [], dryRun }),
    );
  }
}
