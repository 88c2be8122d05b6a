import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { UpstreamServer, type Asked, type Reply } from './upstream.ts';

/** An alert as GitHub keeps it. */
export interface KeptAlert {
  readonly repository: string;
  readonly number: number;
  readonly secret: string;
  state: 'open' | 'resolved';
  validity: 'active' | 'inactive' | 'unknown';
  updatedAt: string;
}

/** A request as a source makes and signs it. */
export interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  /** What stands behind the address, with its `?`. */
  readonly query?: string;
  readonly body: string;
}

const PARTNER_KEY = 'f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d';

/** Secret scanning of GitHub: alerts of repositories and their webhooks, and the feed for partners with its keys. */
export class FakeGithub implements AsyncDisposable {
  readonly alerts: KeptAlert[] = [];
  /** In PEM, by the name under which it is published. */
  readonly partnerKeys = new Map<string, string>();
  server!: UpstreamServer;
  readonly #token: string;
  readonly #partner = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  private constructor(token: string) {
    this.#token = token;
  }

  static async start(token: string): Promise<FakeGithub> {
    const github = new FakeGithub(token);
    github.server = await UpstreamServer.start((asked) => github.#answer(asked));
    return github;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  /** A value is found in a repository. */
  found(repository: string, secret: string): KeptAlert {
    const alert: KeptAlert = {
      repository,
      number: this.alerts.length + 1,
      secret,
      state: 'open',
      validity: 'active',
      updatedAt: new Date().toISOString(),
    };
    this.alerts.push(alert);
    return alert;
  }

  /** The webhook `secret_scanning_alert` of an alert, which has no value; signed with what the receiver shares. */
  webhook(alert: KeptAlert, shared: string, action = 'created'): Delivery {
    const [owner = '', name = ''] = alert.repository.split('/');
    const body = JSON.stringify({
      action,
      alert: { number: alert.number, html_url: pageOf(alert), updated_at: alert.updatedAt },
      repository: { name, owner: { login: owner } },
    });
    const hmac = createHmac('sha256', shared).update(body).digest('hex');
    return {
      headers: { 'x-github-event': 'secret_scanning_alert', 'x-hub-signature-256': `sha256=${hmac}` },
      body,
    };
  }

  /** What partners get of values that were found in public, signed with a key that is published from now on. */
  feed(tokens: readonly string[]): Delivery {
    const { publicKey, privateKey } = this.#partner;
    this.partnerKeys.set(PARTNER_KEY, publicKey.export({ type: 'spki', format: 'pem' }).toString());
    const url = 'https://github.com/somebody/else/blob/main/.env';
    const body = JSON.stringify(tokens.map((token) => ({ token, type: 'rekey', url, source: 'content' })));
    const signature = sign('sha256', Buffer.from(body), privateKey).toString('base64');
    return {
      headers: { 'github-public-key-identifier': PARTNER_KEY, 'github-public-key-signature': signature },
      body,
    };
  }

  #answer({ method, path, headers }: Asked): Reply {
    if (method !== 'GET') return { status: 404, body: { message: 'Not Found' } };
    if (path === '/meta/public_keys/secret_scanning') {
      const keys = [...this.partnerKeys].map(([key_identifier, key]) => ({
        key_identifier,
        key,
        is_current: true,
      }));
      return { status: 200, body: { public_keys: keys } };
    }
    if (headers['user-agent'] === undefined) return { status: 403, body: { message: 'no user agent' } };
    if (headers.authorization !== `Bearer ${this.#token}`)
      return { status: 401, body: { message: 'Bad credentials' } };
    const [, repository, number] =
      /^\/repos\/([^/]+\/[^/]+)\/secret-scanning\/alerts\/(\d+)$/.exec(path) ?? [];
    const alert = this.alerts.find(
      (each) => each.repository === repository && each.number === Number(number),
    );
    if (alert === undefined) return { status: 404, body: { message: 'Not Found' } };
    const { repository: _own, updatedAt: updated_at, ...told } = alert;
    return {
      status: 200,
      body: { ...told, updated_at, publicly_leaked: false, html_url: pageOf(alert) },
    };
  }
}

function pageOf({ repository, number }: KeptAlert): string {
  return `https://github.com/${repository}/security/secret-scanning/${number}`;
}
