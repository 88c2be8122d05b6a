import { UpstreamServer, type Asked, type Reply } from './upstream.ts';

/** An alert as GitHub keeps it. */
interface KeptAlert {
  readonly repository: string;
  readonly number: number;
  readonly secret: string;
  state: 'open' | 'resolved';
  validity: 'active' | 'inactive' | 'unknown';
}

/** Secret scanning of GitHub's API: alerts of repositories, and its keys for partners. */
export class FakeGithub implements AsyncDisposable {
  readonly alerts: KeptAlert[] = [];
  /** In PEM, by the name under which it is published. */
  readonly partnerKeys = new Map<string, string>();
  server!: UpstreamServer;
  readonly #token: string;

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
    };
    this.alerts.push(alert);
    return alert;
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
    const { repository: _own, ...told } = alert;
    return {
      status: 200,
      body: { ...told, publicly_leaked: false, html_url: `https://github.com/${repository}` },
    };
  }
}
