import type { UseReport } from '../domain/agents.ts';
import { recordKey, sha256, TAMPERING, UPSTREAM_USES, USES } from '../domain/archive-keys.ts';
import type { AuditRecord } from '../domain/audit.ts';
import type { Credential, Home } from '../domain/credential.ts';
import type { UpstreamUse } from '../domain/upstream-use.ts';
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

/** A use as an upstream tells of it, as the archive has it; the columns are those of the Glue table. */
export function archivedUpstreamUse(use: UpstreamUse) {
  return {
    credential_uid: use.credentialId,
    source: use.source,
    key_id: use.keyId ?? null,
    version_id: use.versionId ?? null,
    who: use.who,
    address: use.address ?? null,
    scope: use.scope ?? null,
    outcome: use.outcome ?? null,
    used_from: use.from,
    used_to: use.to,
    succeeded: use.succeeded ?? null,
    refused: use.refused ?? null,
  };
}

/** Prefix of a report's object, as of a record's. */
export function useKey(use: UseReport, home: Home, text: string): string {
  return objectOfUse(USES, use, home, text);
}

/** The same of what an upstream tells. */
export function upstreamUseKey(use: UpstreamUse, home: Home, text: string): string {
  return objectOfUse(UPSTREAM_USES, use, home, text);
}

function objectOfUse(
  prefix: string,
  use: Pick<UseReport, 'credentialId' | 'from'>,
  { tenant, account, region }: Home,
  text: string,
): string {
  const path = [
    `tenant=${tenant}`,
    `account=${account}`,
    `region=${region}`,
    `dt=${use.from.slice(0, 10)}`,
    use.credentialId,
    `${sha256(text).toString('hex')}.json`,
  ].join('/');
  return `${prefix}${path}`;
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

  async storeUpstreamUse(use: UpstreamUse, home: Home): Promise<void> {
    const text = JSON.stringify(archivedUpstreamUse(use));
    await this.#putOnce(upstreamUseKey(use, home, text), text);
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
