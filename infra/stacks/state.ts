import {
  Aws,
  CfnOutput,
  Duration,
  RemovalPolicy,
  Stack,
  type CfnElement,
  type StackProps,
} from 'aws-cdk-lib';
import {
  AttributeType,
  BillingMode,
  ProjectionType,
  StreamViewType,
  Table,
  TableEncryption,
} from 'aws-cdk-lib/aws-dynamodb';
import { Archive, EventBus } from 'aws-cdk-lib/aws-events';
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  ObjectOwnership,
  type IBucket,
} from 'aws-cdk-lib/aws-s3';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { EVENT_SOURCE, OUTPUT, TABLE } from '../../shared/names.ts';
import { acknowledge } from '../nag.ts';
import type { DirectoryAccess, LedgerAccess } from '../permissions.ts';

/**
 * What a deployment must never lose: keys, ledger, event bus, revocation snapshots. Logical ids are pinned: moving a
 * construct must not replace the resource behind it.
 */
export class StateStack extends Stack {
  /** Encrypts ledger, logs and the alarm topic. */
  readonly key: Key;
  /** Encrypts the secrets that Rekey creates; agents decrypt with this one and nothing else. */
  readonly secretsKey: Key;
  readonly table: Table;
  /** What verifiers may know of identities; the functions that they ask read nothing else. */
  readonly directoryTable: Table;
  readonly bus: EventBus;
  readonly busDeadLetters: Queue;
  readonly snapshots: Bucket;
  readonly accessLogs: Bucket;

  constructor(scope: Construct, id: string, props: StackProps) {
    super(scope, id, props);
    this.key = pinned('DataKey', this.#key('DataKey', 'Rekey: ledger, logs, alarms'));
    this.secretsKey = pinned('SecretsKey', this.#key('SecretsKey', 'Rekey: secrets of agents'));
    this.#allowLogs();
    this.table = pinned('Ledger', this.#ledger());
    this.directoryTable = pinned('Directory', this.#directory());
    this.busDeadLetters = new Queue(this, 'BusDeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.busDeadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    this.bus = pinned('Bus', this.#bus());
    this.accessLogs = pinned('AccessLogs', this.#accessLogs());
    this.snapshots = pinned('Snapshots', this.#snapshots());

    new CfnOutput(this, OUTPUT.table, { value: this.table.tableName });
    new CfnOutput(this, OUTPUT.directory, { value: this.directoryTable.tableName });
    new CfnOutput(this, OUTPUT.secretsKey, { value: this.secretsKey.keyArn });
    new CfnOutput(this, OUTPUT.bus, { value: this.bus.eventBusName });
  }

  get ledger(): LedgerAccess {
    return { tableArn: this.table.tableArn, keyArn: this.key.keyArn };
  }

  get directory(): DirectoryAccess {
    return { tableArn: this.directoryTable.tableArn, keyArn: this.key.keyArn };
  }

  /** An export's own value: the same text here and in the stack that imports it. */
  get snapshotsArn(): string {
    return this.exportValue(this.snapshots.bucketArn);
  }

  get busName(): string {
    return this.exportValue(this.bus.eventBusName);
  }

  /** Multi-Region, so that a second region can take part later: that can't be changed afterwards (hard decision 12). */
  #key(id: string, description: string): Key {
    return new Key(this, id, {
      description,
      enableKeyRotation: true,
      multiRegion: true,
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  #allowLogs(): void {
    this.key.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal(`logs.${Aws.REGION}.amazonaws.com`)],
        actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'],
        resources: ['*'],
        conditions: {
          ArnLike: {
            'kms:EncryptionContext:aws:logs:arn': `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:*`,
          },
        },
      }),
    );
    this.key.addToResourcePolicy(
      new PolicyStatement({
        // Alarms and the rule that pages publish to an encrypted topic.
        principals: [
          new ServicePrincipal('cloudwatch.amazonaws.com'),
          new ServicePrincipal('events.amazonaws.com'),
        ],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
  }

  #ledger(): Table {
    const table = new Table(this, 'Ledger', {
      partitionKey: { name: TABLE.pk, type: AttributeType.STRING },
      sortKey: { name: TABLE.sk, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: this.key,
      stream: StreamViewType.NEW_AND_OLD_IMAGES,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      timeToLiveAttribute: TABLE.expires,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    table.addGlobalSecondaryIndex({
      indexName: TABLE.index,
      partitionKey: { name: TABLE.indexPk, type: AttributeType.STRING },
      sortKey: { name: TABLE.indexSk, type: AttributeType.STRING },
      projectionType: ProjectionType.ALL,
    });
    return table;
  }

  #directory(): Table {
    return new Table(this, 'Directory', {
      partitionKey: { name: TABLE.pk, type: AttributeType.STRING },
      sortKey: { name: TABLE.sk, type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.CUSTOMER_MANAGED,
      encryptionKey: this.key,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: TABLE.expires,
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }

  #bus(): EventBus {
    const bus = new EventBus(this, 'Bus', {
      description: 'Events of Rekey; never a secret value',
      deadLetterQueue: this.busDeadLetters,
    });
    this.busDeadLetters.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('events.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [this.busDeadLetters.queueArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
    bus.applyRemovalPolicy(RemovalPolicy.RETAIN);
    new Archive(this, 'BusArchive', {
      sourceEventBus: bus,
      description: 'Replay for subscribers that missed something',
      eventPattern: { source: [EVENT_SOURCE] },
      retention: Duration.days(90),
    });
    return bus;
  }

  #accessLogs(): Bucket {
    const bucket = new Bucket(this, 'AccessLogs', {
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      versioned: true,
      lifecycleRules: [{ expiration: Duration.days(400), noncurrentVersionExpiration: Duration.days(1) }],
      removalPolicy: RemovalPolicy.RETAIN,
    });
    bucket.addToResourcePolicy(
      new PolicyStatement({
        // Buckets of other stacks log here as well: those of other accounts must not.
        sid: 'OwnAccountOnly',
        effect: Effect.DENY,
        principals: [new ServicePrincipal('logging.s3.amazonaws.com')],
        actions: ['s3:PutObject'],
        resources: [bucket.arnForObjects('*')],
        conditions: { StringNotEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
    acknowledge(
      bucket,
      'AwsSolutions-S1',
      'This bucket holds the access logs; logging itself would never end.',
    );
    return bucket;
  }

  /**
   * Handles of live credentials, for a revocation while the ledger doesn't answer. No secret is in it, and it is
   * encrypted by S3 itself: an emergency must not depend on one more key.
   */
  #snapshots(): Bucket {
    return new Bucket(this, 'Snapshots', {
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      versioned: true,
      // What the spool no longer needs is deleted: its last version stays for as long, and then nothing of it.
      lifecycleRules: [{ noncurrentVersionExpiration: Duration.days(30), expiredObjectDeleteMarker: true }],
      serverAccessLogsBucket: this.accessLogs as IBucket,
      serverAccessLogsPrefix: 'snapshots/',
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}

function pinned<T extends Construct>(logicalId: string, construct: T): T {
  (construct.node.defaultChild as CfnElement).overrideLogicalId(logicalId);
  return construct;
}
