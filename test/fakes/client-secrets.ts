import { KeyConsole } from './console-keys.ts';
import { UpstreamServer, type Asked, type FakeKeys, type Reply } from './upstream.ts';

/**
 * An authorization server whose clients have shared secrets: made and deleted at its console, and tried at `/token`, `/revoke`
 * and `/introspect`, which let in nobody else. The owner of a secret is its client.
 */
export class FakeClientSecrets implements AsyncDisposable {
  readonly console: KeyConsole = new KeyConsole('cs-');
  readonly server: UpstreamServer;
  /** What it says to whom it doesn't let in, and to whom it does who asks for nothing that there is. */
  refusal: Reply = { status: 401, body: { error: 'invalid_client' } };
  entry: Reply = { status: 400, body: { error: 'invalid_grant' } };

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeClientSecrets> {
    const fake: { current?: FakeClientSecrets } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeClientSecrets(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  get keys(): FakeKeys {
    return this.console.keys;
  }

  /** Whether a client is let in by a secret, asked as it would ask. */
  async takes(clientId: string, secret: string): Promise<boolean> {
    const login = [clientId, secret].map(encodeURIComponent).join(':');
    const answer = await fetch(`${this.server.url}/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` },
      body: new URLSearchParams({ token: 'of-nobody' }),
    });
    return answer.ok;
  }

  private answer(asked: Asked): Reply {
    const done = this.console.answer(asked);
    if (done !== undefined) return done;
    const { method, path } = asked;
    if (method !== 'POST') return { status: 405, body: { error: 'invalid_request' } };
    if (!['/token', '/revoke', '/introspect'].includes(path)) return { status: 404 };
    if (!this.letsIn(loginOf(asked))) return this.refusal;
    const { grant_type: grant, token } = (asked.body ?? {}) as Record<string, string>;
    if (path !== '/token') return (token === undefined ? undefined : NOTHING[path]) ?? INVALID;
    return grant === 'refresh_token'
      ? this.entry
      : { status: 400, body: { error: 'unsupported_grant_type' } };
  }

  private letsIn({ clientId, secret }: Login): boolean {
    const key = [...this.keys.all.values()].find(({ value }) => value === secret);
    return key?.owner === clientId && this.keys.use(secret);
  }
}

const INVALID: Reply = { status: 400, body: { error: 'invalid_request' } };
/** Of a token that nobody has: nothing to revoke (RFC 7009), and not active (RFC 7662). */
const NOTHING: Readonly<Record<string, Reply>> = {
  '/revoke': { status: 200 },
  '/introspect': { status: 200, body: { active: false } },
};

interface Login {
  readonly clientId: string | undefined;
  readonly secret: string | undefined;
}

/** By a header, or by the form. */
function loginOf({ headers, body }: Asked): Login {
  const [, basic = ''] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? [];
  if (basic === '') {
    const form = (body ?? {}) as Record<string, string>;
    return { clientId: form['client_id'], secret: form['client_secret'] };
  }
  const [clientId, secret] = Buffer.from(basic, 'base64')
    .toString()
    .split(':')
    .map((part) => decodeURIComponent(part.replaceAll('+', '%20')));
  return { clientId, secret };
}
