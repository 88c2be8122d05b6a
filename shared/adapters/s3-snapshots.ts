import { createHash } from 'node:crypto';
import type { Credential } from '../domain/credential.ts';
import type { Snapshots, SpooledIntent } from '../ports/snapshots.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';

/** Key of a credential's snapshot. */
export function snapshotKey(tenant: string, credentialId: string): string {
  return `snapshots/tenant=${tenant}/${credentialId}.json`;
}

/**
 * Key of an intent that the ledger could not take. It holds a digest of all that tells one emergency from another, but
 * not of the time, so that attempts of the same emergency share one object and two emergencies never do.
 */
function intentKey(tenant: string, intent: SpooledIntent): string {
  const { credentialId, incidentId, emergencyId, reason, actor } = intent;
  const digest = createHash('sha256')
    .update(JSON.stringify([emergencyId ?? null, reason, actor]))
    .digest('hex');
  return `intents/tenant=${tenant}/${credentialId}/${incidentId}/${digest}.json`;
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
export class S3Snapshots implements Snapshots {
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
}
