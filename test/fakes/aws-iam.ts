import { randomBytes } from 'node:crypto';
import { sign } from '../../shared/adapters/signature.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { AwsCredentials, AwsReach } from '../../shared/http/aws.ts';
import { actOnBedrockKeys } from './bedrock.ts';
import { page, Refusal, stamp, type FakeAccessKey, type FakeUser } from './iam-parts.ts';
import { UpstreamServer, type Asked, type Reply } from './upstream.ts';

const ACCOUNT = '111122223333';
const REGION = 'eu-central-1';

/** Who has signed a request. */
interface Signer {
  readonly user?: FakeUser;
  readonly key?: FakeAccessKey;
  /** When the session was issued; absent for an access key itself. */
  readonly issuedAt?: number;
}

/**
 * IAM's access keys, tags and inline policies of users, and what STS says of a key, as their documentation has it: Query
 * protocol, two keys a user, 50 tags, 2,048 characters of policies. Signatures are verified; sessions of a user's key outlive
 * the key, and are denied by what its policies say of the time of their issue.
 */
export class FakeIam implements AsyncDisposable {
  readonly users: Map<string, FakeUser> = new Map();
  readonly server: UpstreamServer;
  /** How many uses of each new key are refused. */
  slowness = 0;
  /** How far its clock is ahead, in milliseconds. */
  ahead = 0;
  /** Actions that the function's role lacks. */
  readonly denied: Set<string> = new Set();
  readonly #role: AwsCredentials = {
    accessKeyId: 'ASIAROLEOFTHEFUNCTION',
    secretAccessKey: 'secret-of-the-role',
    sessionToken: 'token-of-the-role',
  };
  readonly #sessions = new Map<string, { secret: string; token: string; user: FakeUser; issuedAt: number }>();

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeIam> {
    const fake: { current?: FakeIam } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeIam(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** How a function calls it. */
  get aws(): AwsReach {
    return this.#calls(this.#role);
  }

  addUser(name: string, path = '/'): FakeUser {
    const [keys, bedrockKeys] = [new Map(), new Map()];
    const user: FakeUser = { name, path, keys, bedrockKeys, tags: new Map(), policies: new Map() };
    this.users.set(name, user);
    return user;
  }

  user(name: string): FakeUser {
    const user = this.users.get(name);
    if (user === undefined) throw new Refusal(404, 'NoSuchEntity');
    return user;
  }

  /** Makes a key by hand. */
  addKey(name: string, createdAt = Date.now() + this.ahead): FakeAccessKey {
    const { keys } = this.user(name);
    if (keys.size >= 2) throw new Refusal(409, 'LimitExceeded');
    const id = `AKIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const secret = `${randomBytes(24).toString('base64')}+/=`;
    const key: FakeAccessKey = { id, secret, createdAt, active: true, refusals: this.slowness };
    keys.set(id, key);
    return key;
  }

  /** Whether AWS takes a key, asked with the key. */
  async takes(credentials: AwsCredentials): Promise<boolean> {
    return this.#works('GetCallerIdentity', 'sts', credentials);
  }

  /** A session that an agent mints with its key. */
  mint(user: string, issuedAt = Date.now()): AwsCredentials {
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const [secretAccessKey, sessionToken] = [
      randomBytes(20).toString('base64'),
      randomBytes(40).toString('base64'),
    ];
    this.#sessions.set(accessKeyId, {
      secret: secretAccessKey,
      token: sessionToken,
      user: this.user(user),
      issuedAt,
    });
    return { accessKeyId, secretAccessKey, sessionToken };
  }

  /** Whether a key or a session gets its work done, which policies may deny. */
  async works(credentials: AwsCredentials): Promise<boolean> {
    return this.#works('GetUser', 'iam', credentials);
  }

  async #works(action: string, service: 'iam' | 'sts', credentials: AwsCredentials): Promise<boolean> {
    try {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const request = { method: 'POST', path: '/', headers, body: `Action=${action}` };
      await this.#calls(credentials).request(service, request);
      return true;
    } catch {
      return false;
    }
  }

  #calls(credentials: AwsCredentials): AwsCalls {
    const { url: endpoint } = this.server;
    return new AwsCalls({ region: REGION, credentials, endpoint, caller: 'test', timeoutMs: 2000 });
  }

  private answer(asked: Asked): Reply {
    try {
      const { parameters, service } = requestOf(asked);
      const action = parameters.get('Action') ?? '';
      const signer = this.signer(asked, service);
      const result = service === 'sts' ? this.identify(signer) : this.act(action, parameters, signer);
      return xml(
        200,
        `<${action}Response xmlns="https://${service}.amazonaws.com/doc/"><${action}Result>${result}</${action}Result></${action}Response>`,
      );
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, name, message } = error;
      return xml(
        status,
        `<ErrorResponse><Error><Type>Sender</Type><Code>${name}</Code><Message>${message}</Message></Error></ErrorResponse>`,
      );
    }
  }

  /** Whoever signed it, if the signature is right. */
  private signer(asked: Asked, service: string): Signer {
    const { id, session, key, user } = this.find(asked);
    const secret =
      id === this.#role.accessKeyId ? this.#role.secretAccessKey : (session?.secret ?? key?.secret);
    if (secret === undefined) throw new Refusal(403, 'InvalidClientTokenId');
    if (!isSigned(asked, secret, service)) throw new Refusal(403, 'SignatureDoesNotMatch');
    if (session !== undefined) return { user: session.user, issuedAt: session.issuedAt };
    if (key === undefined || user === undefined) return {};
    if (!key.active || key.refusals-- > 0) throw new Refusal(403, 'InvalidClientTokenId');
    key.lastUsed = Date.now();
    return { user, key };
  }

  private find({ headers }: Asked) {
    const id = /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1] ?? '';
    const session = this.#sessions.get(id);
    const user = [...this.users.values()].find(({ keys }) => keys.has(id));
    return { id, session, user, key: user?.keys.get(id) };
  }

  private identify({ user }: Signer): string {
    const arn = user === undefined ? `arn:aws:sts::${ACCOUNT}:assumed-role/rekey/fn` : arnOf(user);
    return `<Arn>${arn}</Arn><UserId>AIDAEXAMPLE</UserId><Account>${ACCOUNT}</Account>`;
  }

  private act(action: string, parameters: URLSearchParams, { user: caller, issuedAt }: Signer): string {
    if (caller !== undefined) {
      if (action !== 'GetUser' || isCut(caller, issuedAt)) throw new Refusal(403, 'AccessDenied');
      return '<User></User>';
    }
    if (this.denied.has(action)) throw new Refusal(403, 'AccessDenied');
    const id = parameters.get('AccessKeyId') ?? '';
    if (action === 'GetAccessKeyLastUsed') return this.lastUsed(id);
    const user = this.user(parameters.get('UserName') ?? '');
    const key = user.keys.get(id);
    const policy = parameters.get('PolicyName') ?? '';
    switch (action) {
      case 'CreateAccessKey': {
        const made = this.addKey(user.name);
        return `<AccessKey>${shown(user, made)}<SecretAccessKey>${made.secret}</SecretAccessKey></AccessKey>`;
      }
      case 'ListAccessKeys':
        return page(
          'AccessKeyMetadata',
          [...user.keys.values()].map((each) => shown(user, each)),
          parameters,
        );
      case 'UpdateAccessKey':
        if (key === undefined) throw new Refusal(404, 'NoSuchEntity');
        key.active = parameters.get('Status') === 'Active';
        return '';
      case 'DeleteAccessKey':
        if (!user.keys.delete(id)) throw new Refusal(404, 'NoSuchEntity');
        return '';
      case 'ListUserTags':
        return page(
          'Tags',
          [...user.tags].map(([tag, value]) => `<Key>${tag}</Key><Value>${value}</Value>`),
          parameters,
        );
      case 'TagUser':
        return setTags(user, parameters);
      case 'UntagUser':
        for (const tag of members(parameters, 'TagKeys.member.$')) user.tags.delete(tag);
        return '';
      case 'ListUserPolicies':
        return page('PolicyNames', [...user.policies.keys()], parameters);
      case 'PutUserPolicy': {
        const all = new Map(user.policies).set(policy, parameters.get('PolicyDocument') ?? '');
        if ([...all.values()].join('').length > 2048) throw new Refusal(409, 'LimitExceeded');
        user.policies.set(policy, parameters.get('PolicyDocument') ?? '');
        return '';
      }
      case 'DeleteUserPolicy':
        if (!user.policies.delete(policy)) throw new Refusal(404, 'NoSuchEntity');
        return '';
      default:
        return actOnBedrockKeys(user, action, parameters);
    }
  }

  private lastUsed(id: string): string {
    const user = [...this.users.values()].find(({ keys }) => keys.has(id));
    const key = user?.keys.get(id);
    // What it can't tell apart from somebody else's it denies.
    if (user === undefined || key === undefined) throw new Refusal(403, 'AccessDenied');
    const [date, service, region] =
      key.lastUsed === undefined
        ? ['', 'N/A', 'N/A']
        : [`<LastUsedDate>${stamp(key.lastUsed)}</LastUsedDate>`, 'sts', REGION];
    const used = `${date}<ServiceName>${service}</ServiceName><Region>${region}</Region>`;
    return `<UserName>${user.name}</UserName><AccessKeyLastUsed>${used}</AccessKeyLastUsed>`;
  }
}

function requestOf({ text, headers }: Asked): { parameters: URLSearchParams; service: 'iam' | 'sts' } {
  const [, region, service] =
    /Credential=[^/]+\/\d{8}\/([^/]+)\/(iam|sts)\//.exec(headers.authorization ?? '') ?? [];
  const wanted = service === 'iam' ? 'us-east-1' : REGION;
  if (region !== wanted) throw new Refusal(403, 'SignatureDoesNotMatch');
  return { parameters: new URLSearchParams(text), service: service === 'iam' ? 'iam' : 'sts' };
}

/** Whether a request is signed with the secret: signed anew, it has the same signature. */
export function isSigned(
  { headers, method, path, text }: Asked,
  secretAccessKey: string,
  service: string,
): boolean {
  const { authorization = '' } = headers;
  const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
  const [, accessKeyId = '', region = ''] = /Credential=([^/]+)\/\d{8}\/([^/]+)\//.exec(authorization) ?? [];
  const date = String(headers['x-amz-date']);
  const time = new Date(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  const token = headers['x-amz-security-token'];
  const kept = names.filter((name) => !['host', 'x-amz-date', 'x-amz-security-token'].includes(name));
  const again = sign(
    {
      method,
      host: headers.host ?? '',
      path,
      headers: Object.fromEntries(kept.map((name) => [name, String(headers[name])])),
      body: text,
    },
    {
      service,
      region,
      time,
      credentials: {
        accessKeyId,
        secretAccessKey,
        ...(token === undefined ? {} : { sessionToken: String(token) }),
      },
    },
  );
  return again['authorization'] === authorization;
}

/** Whether a policy of the user denies what was issued then. Requests of a key itself have no such time. */
function isCut({ policies }: FakeUser, issuedAt: number | undefined): boolean {
  return [...policies.values()].some((document) => {
    const before = /"DateLessThan":\{"aws:TokenIssueTime":"([^"]+)"\}/.exec(document)?.[1];
    return issuedAt !== undefined && before !== undefined && issuedAt < Date.parse(before);
  });
}

function arnOf({ name, path }: FakeUser): string {
  return `arn:aws:iam::${ACCOUNT}:user${path}${name}`;
}

function shown({ name }: FakeUser, { id, active, createdAt }: FakeAccessKey): string {
  const state = active ? 'Active' : 'Inactive';
  return `<UserName>${name}</UserName><AccessKeyId>${id}</AccessKeyId><Status>${state}</Status><CreateDate>${stamp(createdAt)}</CreateDate>`;
}

function setTags(user: FakeUser, parameters: URLSearchParams): string {
  const keys = members(parameters, 'Tags.member.$.Key');
  const values = members(parameters, 'Tags.member.$.Value');
  const all = new Map(user.tags);
  keys.forEach((key, index) => all.set(key, values[index] ?? ''));
  const isWrong = [...all].some(([key, value]) => key.length > 128 || !/^[\w\s.:/=+@-]{0,256}$/.test(value));
  if (isWrong) throw new Refusal(400, 'InvalidInput');
  if (all.size > 50) throw new Refusal(409, 'LimitExceeded');
  for (const [key, value] of all) user.tags.set(key, value);
  return '';
}

function members(parameters: URLSearchParams, form: string): string[] {
  const found: string[] = [];
  for (let at = 1; parameters.has(form.replace('$', String(at))); at++)
    found.push(parameters.get(form.replace('$', String(at))) ?? '');
  return found;
}

function xml(status: number, body: string): Reply {
  return { status, body: `<?xml version="1.0"?>\n${body}`, headers: { 'content-type': 'text/xml' } };
}
