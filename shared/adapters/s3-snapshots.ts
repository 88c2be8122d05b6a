import { createHash } from 'node:crypto';
import type { Credential } from '../domain/credential.ts';
import type { Snapshots, Spool, SpooledIntent } from '../ports/snapshots.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';

/** Key of a credential's snapshot. */
export function snapshotKey(tenant: string, credentialId: string): string {
  return `snapshots/tenant=${tenant}/${credentialId}.json`;
}

/**
 * Key of an intent that the ledger could not take. It holds a digest of all that tells one emergency from another, but
 * not of the time, so that attempts of the same emergency share one object and two emergencies never do. What it has revoked
 * is an object of its own.
 */
function intentKey(tenant: string, intent: SpooledIntent): string {
  const { credentialId, incidentId, emergencyId, reason, actor, revocation } = intent;
  const digest = createHash('sha256')
    .update(JSON.stringify([emergencyId ?? null, reason, actor]))
    .digest('hex');
  const what = revocation === undefined ? '' : REVOKED;
  return `${intentsOf(tenant)}${credentialId}/${incidentId}/${what}${digest}.json`;
}

/** Begins the name of what says what was revoked. */
const REVOKED = 'revoked-';

function intentsOf(tenant: string): string {
  return `intents/tenant=${tenant}/`;
}

/** Address of an object, encoded on the wire as it is in the signature's canonical form. */
export function objectPath(bucket: string, key: string): string {
  return `/${[bucket, ...key.split('/')].map(encodeURIComponent).join('/')}`;
}

/** Answers to a conditional write: it is there (412), or is being written by somebody else right now (409). */
export const THERE_ALREADY = [
  'PreconditionFailed',
  'ConditionalRequestConflict',
  'Http412',
  'Http409',
] as const;

/** Snapshots in a bucket; the archiver keeps them up to date from the table's stream. */
export class S3Snapshots implements Snapshots, Spool {
  readonly #aws: AwsCalls;
  readonly #bucket: string;
  readonly #tenant: string;

  constructor(options: { aws: AwsCalls; bucket: string; tenant: string }) {
    this.#aws = options.aws;
    this.#bucket = options.bucket;
    this.#tenant = options.tenant;
  }

  async read(credentialId: string): Promise<Credential | undefined> {
    try {
      const answer = await this.#aws.request('s3', {
        method: 'GET',
        path: objectPath(this.#bucket, snapshotKey(this.#tenant, credentialId)),
      });
      return JSON.parse(answer.text) as Credential;
    } catch (error) {
      if (isAwsError(error, 'NoSuchKey')) return undefined;
      throw error;
    }
  }

  async spool(intent: SpooledIntent): Promise<void> {
    try {
      await this.#aws.request('s3', {
        method: 'PUT',
        path: objectPath(this.#bucket, intentKey(this.#tenant, intent)),
        headers: { 'content-type': 'application/json', 'if-none-match': '*' },
        body: JSON.stringify(intent),
      });
    } catch (error) {
      if (!isAwsError(error, ...THERE_ALREADY)) throw error;
    }
  }

  async waiting(): ReturnType<Spool['waiting']> {
    const all: string[] = [];
    let next: string | undefined;
    do {
      // In the order of their names, as a signature has them.
      const query = new URLSearchParams({
        ...(next === undefined ? {} : { 'continuation-token': next }),
        'list-type': '2',
        prefix: intentsOf(this.#tenant),
      });
      const { text } = await this.#aws.request('s3', {
        method: 'GET',
        path: `/${encodeURIComponent(this.#bucket)}?${query.toString()}`,
      });
      for (const [, key = ''] of text.matchAll(/<Key>([^<]+)<\/Key>/g)) all.push(key);
      next = /<NextContinuationToken>([^<]+)</.exec(text)?.[1];
    } while (next !== undefined);
    const { revoked = [], intended = [] } = Object.groupBy(all, (key) =>
      key.includes(`/${REVOKED}`) ? 'revoked' : 'intended',
    );
    return { revoked, intended };
  }

  async spooled(key: string): Promise<SpooledIntent> {
    const { text } = await this.#aws.request('s3', { method: 'GET', path: objectPath(this.#bucket, key) });
    return JSON.parse(text) as SpooledIntent;
  }

  async settle(key: string): Promise<void> {
    // The bucket keeps what is deleted for a while, and no role of Rekey may delete that.
    await this.#aws.request('s3', { method: 'DELETE', path: objectPath(this.#bucket, key) });
  }
}
