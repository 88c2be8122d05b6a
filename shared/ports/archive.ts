import type { UseReport } from '../domain/agents.ts';
import type { AuditRecord } from '../domain/audit.ts';
import type { Credential, Home } from '../domain/credential.ts';
import type { UpstreamUse } from '../domain/upstream-use.ts';

/** Write-once archive of audit records, with the snapshots beside it. */
export interface Archive {
  /** Stores a record under a name made of its content; a second time is success. */
  store(record: AuditRecord): Promise<void>;
  /** Stores proof that an audit row was changed or removed in the table, which nobody may do. */
  reportTampering(finding: { key: string; change: string; before: string; after: string }): Promise<void>;
  /** Stores a report of uses as it stands now; the counts of one minute grow, so that the longest one counts. */
  storeUse(use: UseReport, home: Home): Promise<void>;
  /** Stores what an upstream tells of a bucket of time as it stands now; of several the widest counts. */
  storeUpstreamUse(use: UpstreamUse, home: Home): Promise<void>;
  /** Replaces the copy of a credential's head. */
  snapshot(credential: Credential): Promise<void>;
}
