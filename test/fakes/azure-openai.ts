import { randomBytes } from 'node:crypto';
import { placesIn } from '../../shared/providers/azure-openai/provider.ts';
import { idOf, nameIn, slotIn } from '../../shared/providers/slot-keys/slot.ts';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type Reply } from './upstream.ts';

/** An account with its two keys, which both have a value from the beginning. */
interface Account {
  readonly keys: { key1: string; key2: string };
  tags: Record<string, string>;
}

const PATH =
  /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/providers\/microsoft\.cognitiveservices\/accounts\/[^/]+/i;

/** Azure Resource Manager as far as keys and tags of Azure OpenAI go, the tokens of Entra for it, and lists of models. */
export class FakeAzureOpenAi implements AsyncDisposable {
  readonly tenantId = '11111111-2222-4333-8444-555555555555';
  readonly clientId = 'aaaaaaaa-0000-4000-8000-000000000002';
  readonly clientSecret = 'adm8Q~secret-of-the-administrative-app';
  /** Keys that tags say are Rekey's, by the ids that it gives them; and keys of accounts that it has no part in. */
  readonly keys: FakeKeys = new FakeKeys();
  readonly server: UpstreamServer;
  readonly #accounts = new Map<string, Account>();
  readonly #tokens = new Set<string>();

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeAzureOpenAi> {
    const fake: { current?: FakeAzureOpenAi } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeAzureOpenAi(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** The administrative secret, where this is reached at `url`. */
  admin(url: string): Record<string, string> {
    const { tenantId, clientId, clientSecret } = this;
    return { tenantId, clientId, clientSecret, loginUrl: url, adminUrl: url };
  }

  /** An account; one that wasn't there is made. */
  account({
    subscription,
    resourceGroup,
    account,
  }: Record<'subscription' | 'resourceGroup' | 'account', string>): Account {
    return this.#at(
      `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/Microsoft.CognitiveServices/accounts/${account}`,
    );
  }

  /** A key gets another value, as in the portal. */
  regenerate({ keys }: Account, name: string): void {
    keys[name === 'Key1' ? 'key1' : 'key2'] = newValue();
    this.#take();
  }

  /** Tags of an account become others, as by who deploys it. */
  retag(account: Account, tags: Record<string, string>): void {
    account.tags = tags;
    this.#take();
  }

  /** Whether a key is taken, asked as an agent would. */
  async takes(value: string): Promise<boolean> {
    const url = `${this.server.url}/openai/models?api-version=2024-10-21`;
    return (await fetch(url, { headers: { 'api-key': value } })).ok;
  }

  #at(path: string): Account {
    const key = path.toLowerCase();
    const account = this.#accounts.get(key) ?? { keys: { key1: newValue(), key2: newValue() }, tags: {} };
    this.#accounts.set(key, account);
    return account;
  }

  /** Learns from tags and values which keys are Rekey's now. */
  #take(): void {
    const before = new Map(this.keys.all);
    for (const [id, { owner }] of before) if (this.#accounts.has(owner)) this.keys.all.delete(id);
    for (const [owner, { keys, tags }] of this.#accounts) {
      for (const slot of placesIn(keys, tags)
        .map(slotIn)
        .filter(({ live, mark }) => live && mark !== undefined)) {
        const id = idOf(slot);
        const about = { id, owner, value: slot.value, name: nameIn(slot), createdAt: Date.now() };
        this.keys.all.set(id, before.get(id) ?? { ...about, active: true, lastUsed: null, refusals: 0 });
      }
    }
  }

  private answer(asked: Asked): Reply {
    const { method, path, query } = asked;
    if (path === `/${this.tenantId}/oauth2/v2.0/token`) return this.token(asked);
    if (path === '/openai/models') return this.models(asked);
    if (!this.#tokens.has(bearerOf(asked) ?? '')) return refusal(401, 'InvalidAuthenticationToken');
    const [place = ''] = PATH.exec(path) ?? [];
    const act = path.slice(place.length);
    if (place === '' || query.get('api-version') === null) return refusal(400, 'MissingApiVersionParameter');
    const account = this.#at(place);
    if (act === '/providers/Microsoft.Resources/tags/default') return this.tags(account, asked);
    if (method !== 'POST') return refusal(405, 'MethodNotAllowed');
    if (act === '/listKeys') return { status: 200, body: account.keys };
    const { keyName = '' } = (asked.body ?? {}) as { keyName?: string };
    if (act !== '/regenerateKey' || !/^Key[12]$/.test(keyName)) return refusal(400, 'BadRequest');
    this.regenerate(account, keyName);
    return { status: 200, body: account.keys };
  }

  private token({ method, body }: Asked): Reply {
    const form = (body ?? {}) as Record<string, string>;
    const isAsked =
      method === 'POST' &&
      form['grant_type'] === 'client_credentials' &&
      form['scope'] === `${this.server.url}/.default`;
    if (!isAsked) return refusal(400, 'invalid_request');
    if (form['client_id'] !== this.clientId || form['client_secret'] !== this.clientSecret)
      return { status: 401, body: { error: 'invalid_client', error_description: 'AADSTS7000215 sk-quoted' } };
    const token = randomBytes(24).toString('base64url');
    this.#tokens.add(token);
    return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: token } };
  }

  private tags(account: Account, { method, body }: Asked): Reply {
    if (method === 'PATCH') {
      const { operation, properties } = body as {
        operation: string;
        properties: { tags: Record<string, string> };
      };
      if (operation !== 'Merge') return refusal(400, 'InvalidTagOperation');
      if (Object.values(properties.tags).some((value) => value.length > 256))
        return refusal(400, 'InvalidTagValue');
      this.retag(account, { ...account.tags, ...properties.tags });
    }
    return {
      status: 200,
      body: { type: 'Microsoft.Resources/tags', name: 'default', properties: { tags: account.tags } },
    };
  }

  private models({ headers }: Asked): Reply {
    const value = String(headers['api-key']);
    const isSlots = [...this.#accounts.values()].some(
      ({ keys }) => keys.key1 === value || keys.key2 === value,
    );
    const isKnown = [...this.keys.all.values()].some((key) => key.value === value);
    if (isKnown ? !this.keys.use(value) : !isSlots) return refusal(401, '401');
    return {
      status: 200,
      body: { object: 'list', data: [{ id: 'gpt-4.1', object: 'model', status: 'succeeded' }] },
    };
  }
}

function newValue(): string {
  return `${randomBytes(26).toString('hex')}JQQJ99${randomBytes(9).toString('hex')}ACOG${randomBytes(2).toString('hex')}`;
}

function refusal(status: number, code: string): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { error: { code, message: 'not for sk-quoted-by-the-upstream' } } };
}
