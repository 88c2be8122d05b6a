import { randomBytes } from 'node:crypto';
import { page, Refusal, stamp, type FakeBedrockKey, type FakeUser } from './iam-parts.ts';
import { bearerOf, UpstreamServer, type Asked, type Reply } from './upstream.ts';

/** IAM, as far as Bedrock asks it. */
interface Users {
  readonly users: ReadonlyMap<string, FakeUser>;
}

const SERVICE = 'bedrock.amazonaws.com';

/** Makes a key for Bedrock, by hand too: two a user. */
export function addBedrockKey({ bedrockKeys }: FakeUser, ageDays: string | null = null): FakeBedrockKey {
  if (bedrockKeys.size >= 2) throw new Refusal(409, 'LimitExceeded');
  const id = `ACCA${randomBytes(8).toString('hex').toUpperCase()}`;
  const secret = `ABSK${randomBytes(48).toString('base64')}`;
  const key = { id, secret, createdAt: Date.now(), active: true, refusals: 0, ageDays };
  bedrockKeys.set(id, key);
  return key;
}

/** IAM's calls of them, as its documentation has them. */
export function actOnBedrockKeys(user: FakeUser, action: string, parameters: URLSearchParams): string {
  const { bedrockKeys: keys } = user;
  const id = parameters.get('ServiceSpecificCredentialId') ?? '';
  const key = keys.get(id);
  switch (action) {
    case 'CreateServiceSpecificCredential': {
      if (parameters.get('ServiceName') !== SERVICE) throw new Refusal(404, 'ServiceNotSupported');
      const made = addBedrockKey(user, parameters.get('CredentialAgeDays'));
      const secret = `<ServiceCredentialSecret>${made.secret}</ServiceCredentialSecret>`;
      return `<ServiceSpecificCredential>${shown(user, made)}${secret}</ServiceSpecificCredential>`;
    }
    case 'ListServiceSpecificCredentials': {
      if (parameters.get('ServiceName') !== SERVICE) throw new Refusal(404, 'ServiceNotSupported');
      const all = [...keys.values()].map((each) => shown(user, each));
      return page('ServiceSpecificCredentials', all, parameters);
    }
    case 'UpdateServiceSpecificCredential':
      if (key === undefined) throw new Refusal(404, 'NoSuchEntity');
      key.active = parameters.get('Status') === 'Active';
      return '';
    case 'DeleteServiceSpecificCredential':
      if (!keys.delete(id)) throw new Refusal(404, 'NoSuchEntity');
      return '';
    default:
      throw new Refusal(400, 'InvalidAction');
  }
}

/** Bedrock's list of models, for those whose key IAM knows. */
export class FakeBedrock implements AsyncDisposable {
  readonly server: UpstreamServer;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  /** `uses` says of a key whether it is taken. */
  static async start(uses: (value: string) => boolean): Promise<FakeBedrock> {
    return new FakeBedrock(await UpstreamServer.start((asked) => models(uses, asked)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** Whether a key is taken, asked as an agent would. */
  async takes(value: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${value}` };
    return (await fetch(`${this.server.url}/foundation-models`, { headers })).ok;
  }
}

/** Uses a key that users of a fake IAM have. */
export function useBedrockKey({ users }: Users, value: string): boolean {
  const keys = [...users.values()].flatMap(({ bedrockKeys }) => [...bedrockKeys.values()]);
  const key = keys.find(({ secret, active }) => active && secret === value);
  return key !== undefined && key.refusals-- <= 0;
}

function models(uses: (value: string) => boolean, asked: Asked): Reply {
  const value = bearerOf(asked) ?? '';
  if (asked.path !== '/foundation-models') return { status: 404, body: {} };
  // Bedrock says 403 of a wrong key, and quotes; nothing of it may come out at the other end.
  if (!uses(value)) return { status: 403, body: { Message: `Authentication failed: ${value}` } };
  const model = { modelId: 'anthropic.claude-sonnet-4-5', providerName: 'Anthropic' };
  return { status: 200, body: { modelSummaries: [model] } };
}

function shown({ name }: FakeUser, { id, active, createdAt }: FakeBedrockKey): string {
  const state = active ? 'Active' : 'Inactive';
  return (
    `<UserName>${name}</UserName><ServiceName>${SERVICE}</ServiceName><Status>${state}</Status>` +
    `<ServiceSpecificCredentialId>${id}</ServiceSpecificCredentialId><CreateDate>${stamp(createdAt)}</CreateDate>` +
    `<ServiceCredentialAlias>BedrockAPIKey-${name}</ServiceCredentialAlias>`
  );
}
