import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Aws,
  CfnOutput,
  Duration,
  RemovalPolicy,
  Stack,
  type CfnElement,
  type StackProps,
} from 'aws-cdk-lib';
import { CfnNamedQuery, CfnWorkGroup } from 'aws-cdk-lib/aws-athena';
import { CfnDatabase, CfnTable } from 'aws-cdk-lib/aws-glue';
import { AccountPrincipal, AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectLockRetention,
  ObjectOwnership,
  type IBucket,
} from 'aws-cdk-lib/aws-s3';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { RECORDS, TAMPERING, UPSTREAM_USES, USES } from '../../shared/domain/archive-keys.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction } from '../constructs/handler-function.ts';
import { TableStream } from '../constructs/table-stream.ts';
import { acknowledge } from '../nag.ts';
import { appendObjects, readArchive, readStream } from '../permissions.ts';
import type { StateStack } from './state.ts';

export interface EvidenceStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/** Prefix of Athena's answers in their bucket. */
export const RESULTS = 'results/';

/** Prefix of the revocation snapshots in their bucket. */
export const SNAPSHOTS = 'snapshots/';

/** Prefix of the intents that the ledger could not take, beside the snapshots. */
export const INTENTS = 'intents/';

/** The audit archive and how auditors ask it. A stack of its own: nothing else's change ever touches it. */
export class EvidenceStack extends Stack {
  readonly archive: Bucket;
  readonly workgroupName: string;
  /** Of the Glue catalog. */
  readonly databaseName: string;
  readonly #queryResults: Bucket;
  readonly archiver: HandlerFunction;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: EvidenceStackProps) {
    super(scope, id, props);
    this.archive = this.#archive(props);
    this.deadLetters = new Queue(this, 'ArchiverDeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    this.archiver = this.#archiver(props);
    this.workgroupName = `rekey-${props.settings.stage}`;
    this.databaseName = `rekey_${props.settings.stage.replaceAll('-', '_')}`;
    this.#queryResults = this.#resultsBucket(props);
    this.#queries(props);
    new CfnOutput(this, OUTPUT.archive, { value: this.archive.bucketName });
  }

  #archive({ settings, state }: EvidenceStackProps): Bucket {
    const days = Duration.days(settings.archiveLock.days);
    const archive = new Bucket(this, 'Archive', {
      objectLockEnabled: true,
      objectLockDefaultRetention:
        settings.archiveLock.mode === 'compliance'
          ? ObjectLockRetention.compliance(days)
          : ObjectLockRetention.governance(days),
      versioned: true,
      // Encrypted by S3 itself: whoever deletes a key of ours would make locked evidence unreadable.
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      serverAccessLogsBucket: state.accessLogs as IBucket,
      serverAccessLogsPrefix: 'archive/',
      removalPolicy: RemovalPolicy.RETAIN,
    });
    (archive.node.defaultChild as CfnElement).overrideLogicalId('Archive');
    // Object Lock protects versions, not names: a delete marker or a lifecycle rule would still hide them.
    archive.addToResourcePolicy(
      new PolicyStatement({
        sid: 'KeepEvidence',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: [
          's3:BypassGovernanceRetention',
          's3:DeleteObject*',
          's3:PutLifecycleConfiguration',
          's3:PutObjectLegalHold',
          's3:PutObjectRetention',
        ],
        resources: [archive.bucketArn, archive.arnForObjects('*')],
      }),
    );
    // All of it: what is in it beside the archiver's own objects is evidence as well.
    for (const { actions, resources } of settings.archiveReaders.length === 0
      ? []
      : readArchive(archive.bucketArn, [''])) {
      archive.addToResourcePolicy(
        new PolicyStatement({
          principals: settings.archiveReaders.map((account) => new AccountPrincipal(account)),
          actions: [...actions],
          resources: [...resources],
        }),
      );
    }
    return archive;
  }

  #archiver({ settings, state }: EvidenceStackProps): HandlerFunction {
    const streamArn = state.table.tableStreamArn ?? '';
    const archiver = new HandlerFunction(this, 'ArchiveAudit', {
      name: 'archive-audit',
      description: 'Writes audit records from the ledger to the archive, and revocation snapshots',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(60),
      environment: {
        tenant: settings.tenant,
        account: Aws.ACCOUNT_ID,
        archive: this.archive.bucketName,
        snapshots: state.snapshots.bucketName,
      },
      grants: [
        ...readStream(streamArn, state.key.keyArn),
        ...appendObjects(this.archive.bucketArn, RECORDS),
        ...appendObjects(this.archive.bucketArn, USES),
        ...appendObjects(this.archive.bucketArn, UPSTREAM_USES),
        ...appendObjects(this.archive.bucketArn, TAMPERING),
        ...appendObjects(state.snapshotsArn, SNAPSHOTS),
      ],
    });
    new TableStream(this, 'ArchiveAuditStream', {
      streamArn,
      target: archiver,
      deadLetters: this.deadLetters,
      // Any change of an audit row comes too, not only its insertion: that is tampering, and it is archived.
      filters: [
        { dynamodb: { Keys: { sk: { S: [{ prefix: 'AUD#' }] } } } },
        { dynamodb: { Keys: { sk: { S: ['HEAD'] } } } },
        // What agents have reported and upstreams tell; that it expires in the ledger takes nothing from the archive.
        ...['USE', 'UPSTREAM'].map((kind) => ({
          eventName: ['INSERT', 'MODIFY'],
          dynamodb: { Keys: { pk: { S: [{ prefix: `${settings.tenant}#${kind}#` }] } } },
        })),
      ],
    });
    return archiver;
  }

  /** Exported here: where a grant is explained to cdk-nag, its ARN must be final. */
  get archiveArn(): string {
    return this.exportValue(this.archive.bucketArn);
  }

  /** Of the bucket where Athena leaves its answers. */
  get queryResultsArn(): string {
    return this.exportValue(this.#queryResults.bucketArn);
  }

  #resultsBucket({ state }: EvidenceStackProps): Bucket {
    return new Bucket(this, 'QueryResults', {
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      lifecycleRules: [{ expiration: Duration.days(30) }],
      serverAccessLogsBucket: state.accessLogs as IBucket,
      serverAccessLogsPrefix: 'query-results/',
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  #queries({ settings }: EvidenceStackProps): void {
    const workgroup = new CfnWorkGroup(this, 'Workgroup', {
      name: this.workgroupName,
      description: 'Questions of auditors to the archive',
      workGroupConfiguration: {
        enforceWorkGroupConfiguration: true,
        publishCloudWatchMetricsEnabled: true,
        engineVersion: { selectedEngineVersion: 'Athena engine version 3' },
        resultConfiguration: {
          outputLocation: `s3://${this.#queryResults.bucketName}/${RESULTS}`,
          encryptionConfiguration: { encryptionOption: 'SSE_S3' },
        },
      },
    });
    const name = this.databaseName;
    const database = new CfnDatabase(this, 'Database', {
      catalogId: Aws.ACCOUNT_ID,
      databaseInput: { name, description: 'Audit records of Rekey' },
    });
    const tables = [
      new CfnTable(this, 'AuditRecords', {
        catalogId: Aws.ACCOUNT_ID,
        databaseName: name,
        tableInput: auditRecords(this.archive.bucketName, settings.tenant),
      }),
      new CfnTable(this, 'AgentUses', {
        catalogId: Aws.ACCOUNT_ID,
        databaseName: name,
        tableInput: agentUses(this.archive.bucketName, settings.tenant),
      }),
      new CfnTable(this, 'UpstreamUses', {
        catalogId: Aws.ACCOUNT_ID,
        databaseName: name,
        tableInput: upstreamUses(this.archive.bucketName, settings.tenant),
      }),
    ];
    for (const table of tables) {
      table.addResourceDependency(database);
      table.addMetadata('cfn-lint', {
        // ${…} in storage.location.template are variables of partition projection, not of CloudFormation.
        config: { ignore_checks: ['E1029'] },
      });
    }
    for (const { id, file, ...about } of QUERIES) {
      const query = new CfnNamedQuery(this, id, {
        ...about,
        database: name,
        workGroup: workgroup.name,
        queryString: readFileSync(join(import.meta.dirname, '..', 'queries', file), 'utf8'),
      });
      query.addResourceDependency(workgroup);
      for (const table of tables) query.addResourceDependency(table);
    }
  }
}

/** The questions that every auditor asks, ready to run. */
const QUERIES = [
  {
    id: 'RotationsOfTheLast12Months',
    name: 'Rotations of the last 12 months',
    description:
      'Every rotation with dates, actor and confirmation that the old credential was deactivated (A2)',
    file: 'rotations-last-12-months.sql',
  },
  {
    id: 'WhoUsedACredential',
    name: 'Which agent used a credential between two times',
    description:
      'Uses that agents have reported and upstreams tell of, with the value that was used (A3); five parameters, which its text explains',
    file: 'who-used-a-credential.sql',
  },
] as const;

/** OCSF records as `shared/domain/audit.ts` seals them. */
function auditRecords(bucket: string, tenant: string): CfnTable.TableInputProperty {
  return jsonTable(tenant, {
    name: 'audit_records',
    description: 'Audit records, one JSON object each (OCSF 1.9, class 3004)',
    root: `s3://${bucket}/${RECORDS}`,
    columns: COLUMNS,
  });
}

/** Reports of uses as `shared/adapters/s3-archive.ts` writes them. */
function agentUses(bucket: string, tenant: string): CfnTable.TableInputProperty {
  return jsonTable(tenant, {
    name: 'agent_uses',
    description: 'Uses of credentials by the minute, as agents have reported them, one JSON object each',
    root: `s3://${bucket}/${USES}`,
    columns: USE_COLUMNS,
  });
}

/** What upstreams tell of uses, as `shared/adapters/s3-archive.ts` writes it. */
function upstreamUses(bucket: string, tenant: string): CfnTable.TableInputProperty {
  return jsonTable(tenant, {
    name: 'upstream_uses',
    description:
      'Uses of credentials as CloudTrail, databases and providers tell of them, one JSON object each',
    root: `s3://${bucket}/${UPSTREAM_USES}`,
    columns: UPSTREAM_USE_COLUMNS,
  });
}

/** Objects of JSON below a prefix of the archive; partitions are computed, never crawled. */
function jsonTable(
  tenant: string,
  {
    name,
    description,
    root,
    columns,
  }: { name: string; description: string; root: string; columns: Readonly<Record<string, string>> },
): CfnTable.TableInputProperty {
  return {
    name,
    description,
    tableType: 'EXTERNAL_TABLE',
    partitionKeys: ['tenant', 'account', 'region', 'dt'].map((key) => ({ name: key, type: 'string' })),
    parameters: {
      EXTERNAL: 'TRUE',
      classification: 'json',
      'projection.enabled': 'true',
      'projection.tenant.type': 'enum',
      'projection.tenant.values': tenant,
      'projection.account.type': 'enum',
      'projection.account.values': Aws.ACCOUNT_ID,
      'projection.region.type': 'enum',
      'projection.region.values': Aws.REGION,
      'projection.dt.type': 'date',
      'projection.dt.format': 'yyyy-MM-dd',
      'projection.dt.range': '2026-01-01,NOW+1DAYS',
      'projection.dt.interval': '1',
      'projection.dt.interval.unit': 'DAYS',
      'storage.location.template': root + 'tenant=${tenant}/account=${account}/region=${region}/dt=${dt}/',
    },
    storageDescriptor: {
      location: root,
      inputFormat: 'org.apache.hadoop.mapred.TextInputFormat',
      outputFormat: 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat',
      serdeInfo: {
        serializationLibrary: 'org.openx.data.jsonserde.JsonSerDe',
        // A record that is no JSON must be seen, not skipped.
        parameters: { 'ignore.malformed.json': 'false' },
      },
      columns: Object.entries(columns).map(([column, type]) => ({ name: column, type })),
    },
  };
}

/** Columns of the reports of uses; a test compares them with what the archive is given. */
export const USE_COLUMNS = {
  credential_uid: 'string',
  agent: 'string',
  session: 'string',
  version_id: 'string',
  succeeded: 'bigint',
  refused: 'bigint',
  used_from: 'string',
  used_to: 'string',
} as const;

/** Columns of what upstreams tell of uses; a test compares them with what the archive is given. */
export const UPSTREAM_USE_COLUMNS = {
  credential_uid: 'string',
  source: 'string',
  key_id: 'string',
  version_id: 'string',
  who: 'string',
  address: 'string',
  scope: 'string',
  outcome: 'string',
  used_from: 'string',
  used_to: 'string',
  succeeded: 'bigint',
  refused: 'bigint',
} as const;

/** Columns by name; a test compares them with a sealed record. */
export const COLUMNS = {
  class_uid: 'int',
  category_uid: 'int',
  activity_id: 'int',
  type_uid: 'int',
  severity_id: 'int',
  time: 'bigint',
  time_dt: 'string',
  message: 'string',
  metadata:
    'struct<version:string,product:struct<name:string,vendor_name:string,version:string>,' +
    'correlation_uid:string,sequence:bigint,tenant_uid:string>',
  cloud: 'struct<provider:string,account:struct<uid:string>,region:string>',
  actor: 'struct<user:struct<uid:string>>',
  entity:
    'struct<type:string,uid:string,name:string,data:struct<trigger:string,reason:string,incident:string,' +
    'old_fingerprint:string,new_fingerprint:string,old_handle:string,new_handle:string,window_opens:string,' +
    'window_closes:string,holders:array<string>,fleets:array<string>,deactivation:string,evidence:string>>',
  integrity: 'struct<algorithm:string,previous:string,hash:string>',
} as const;
