import { RekeyError } from '../domain/errors.ts';
import { Redacted } from '../domain/redacted.ts';
import { githubAlert, type GithubAlert } from '../domain/signals/github.ts';
import type { AlertRef } from '../domain/signals/signal.ts';
import type { Alerts } from '../ports/signals.ts';
import { guardedGet, jsonOf } from './guarded-get.ts';

/** How GitHub's API is reached. */
export interface GithubAlertsOptions {
  /** `https://api.github.com`, or the API of a server of one's own. */
  readonly apiUrl: string;
  /** A token that may read secret scanning alerts, and nothing else. */
  readonly token: () => Promise<Redacted<string>>;
  readonly privateHosts: readonly string[];
}

/** Secret scanning alerts of GitHub's API. */
export class GithubAlerts implements Alerts {
  readonly #options: GithubAlertsOptions;

  constructor(options: GithubAlertsOptions) {
    this.#options = options;
  }

  async read({ owner, repo, number }: AlertRef): Promise<GithubAlert | undefined> {
    const { apiUrl, token, privateHosts } = this.#options;
    const text = (await token()).reveal().trim();
    const path = ['repos', owner, repo, 'secret-scanning', 'alerts', String(number)].map(encodeURIComponent);
    const answer = await guardedGet({
      url: `${apiUrl.replace(/\/$/, '')}/${path.join('/')}`,
      headers: {
        accept: 'application/vnd.github+json',
        'x-github-api-version': '2022-11-28',
        authorization: `Bearer ${text}`,
      },
      privateHosts,
      field: 'signals.github.apiUrl',
    });
    if (answer.status === 404) return undefined;
    if (answer.status === 401 || answer.status === 403) {
      throw new RekeyError('ERR_ADMIN_DENIED', `GitHub answers ${answer.status} to the token for alerts`, {
        field: 'signals.github.tokenSecretArn',
        remedy: 'look whether it still works and may read secret scanning alerts; then redeliver the webhook',
      });
    }
    const parsed = githubAlert.safeParse(answer.status === 200 ? jsonOf(answer) : undefined);
    if (!parsed.success) {
      throw new RekeyError('ERR_UNAVAILABLE', `GitHub answers ${answer.status} in no form of an alert`, {
        remedy: 'redeliver the webhook once GitHub is well again',
      });
    }
    const { secret, ...alert } = parsed.data;
    return { ...alert, ...(secret === undefined ? {} : { secret: new Redacted(secret) }) };
  }
}
