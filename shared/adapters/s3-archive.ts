import type { UseReport } from '../domain/agents.ts';
import { recordKey, sha256, TAMPERING } from '../domain/archive-keys.ts';
import type { AuditRecord } from '../domain/audit.ts';
import type { Credential, Home } from '../domain/credential.ts';
import type { Archive } from '../ports/archive.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';
import { objectPath, snapshotKey, THERE_ALREADY } from './s3-snapshots.ts';

/** A report of uses as the archive has it; the columns are those of the Glue table. */
export function archivedUse(use: UseReport) {
  return {
    credential_uid: use.credentialId,
    agent: use.agent,
    session: use.session,
    version_id: use.versionId,
    succeeded: use.succeeded,
    refused: use.refused,
    used_from: use.from,
    used_to: use.to,
  };
}

/** Where the object of a report is, as that of a record. */
export function useKey(use: UseReport, { tenant, account, region }: Home, text: string): string {
  return [
    'uses',
    `tenant=${tenant}`,
    `account=${account}`,
    `region=${region}`,
    `dt=${use.from.slice(0, 10)}`,
    use.credentialId,
    `${sha256(text).toString('hex')}.json`,
  ].join('/');
}

/**
 * The archive in a bucket with Object Lock. Names hold the hash of the content, so that an object that is there
 * already is the same object (audit-and-security decision 3).
 */
export class S3Archive implements Archive {
  readonly #aws: AwsCalls;
  readonly #archive: string;
  readonly #snapshots: string;

  constructor(options: { aws: AwsCalls; archive: string; snapshots: string }) {
    this.#aws = options.aws;
    this.#archive = options.archive;
    this.#snapshots = options.snapshots;
  }

  async store(record: AuditRecord): Promise<void> {
    const text = JSON.stringify(record);
    await this.#putOnce(recordKey(record, text), text);
  }

  async storeUse(use: UseReport, home: Home): Promise<void> {
    const text = JSON.stringify(archivedUse(use));
    await this.#putOnce(useKey(use, home, text), text);
  }

  async reportTampering(finding: Parameters<Archive['reportTampering']>[0]): Promise<void> {
    const text = JSON.stringify(finding);
    await this.#putOnce(`${TAMPERING}${sha256(text).toString('hex')}.json`, text);
  }

  async snapshot(credential: Credential): Promise<void> {
    await this.#put(
      this.#snapshots,
      snapshotKey(credential.tenant, credential.id),
      JSON.stringify(credential),
      {},
    );
  }

  async #putOnce(key: string, text: string): Promise<void> {
    try {
      await this.#put(this.#archive, key, text, { 'if-none-match': '*' });
    } catch (error) {
      if (!isAwsError(error, ...THERE_ALREADY)) throw error;
    }
  }

  async #put(bucket: string, key: string, text: string, headers: Record<string, string>): Promise<void> {
    await this.#aws.request('s3', {
      method: 'PUT',
      path: objectPath(bucket, key),
      // Object Lock wants a checksum with every put.
      headers: {
        ...headers,
        'content-type': 'application/json',
        'x-amz-checksum-sha256': sha256(text).toString('base64'),
      },
      body: text,
    });
  }
}
