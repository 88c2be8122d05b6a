import { Stack, Tags, type StackProps } from 'aws-cdk-lib';
import { IpAddresses, SubnetType, Vpc, type IVpc } from 'aws-cdk-lib/aws-ec2';
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  DatabaseCluster,
  DatabaseClusterEngine,
} from 'aws-cdk-lib/aws-rds';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { RekeyCredential } from '../../infra/constructs/rekey-credential.ts';
import { TAG } from '../../shared/names.ts';

/** A team's own stack: a database, the login that administers it, and the credential that agents use. */
export class OrdersStack extends Stack {
  constructor(scope: Construct, id: string, props: StackProps = {}) {
    super(scope, id, props);
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr('10.20.0.0/16'),
      natGateways: 0,
      subnetConfiguration: [{ name: 'databases', subnetType: SubnetType.PRIVATE_ISOLATED }],
    });
    const cluster = new DatabaseCluster(this, 'Orders', {
      engine: DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_5 }),
      writer: ClusterInstance.serverlessV2('Writer'),
      defaultDatabaseName: 'orders',
      // The declarations of aws-cdk-lib predate exactOptionalPropertyTypes.
      vpc: vpc as IVpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
      storageEncrypted: true,
    });

    // The login itself is made by your migrations, with the rights that docs/cli.md lists.
    const admin = new Secret(this, 'RekeyAdmin', {
      secretName: 'admin/orders-db',
      generateSecretString: {
        secretStringTemplate: JSON.stringify({ username: 'rekey_admin' }),
        generateStringKey: 'password',
        excludePunctuation: true,
      },
    });
    Tags.of(admin).add(TAG.admin, 'database');

    new RekeyCredential(this, 'OrdersCredential', {
      name: 'orders-db',
      type: 'database',
      provider: 'postgresql',
      secret: 'agents/orders-db',
      admin: admin.secretArn,
      target: {
        host: cluster.clusterEndpoint.hostname,
        port: cluster.clusterEndpoint.port,
        database: 'orders',
        ownerRole: 'orders_app',
      },
      policy: { window: '30m', deadline: '1h' },
      holders: [{ kind: 'polling', name: 'order-agents', ttl: '15m' }],
    });
  }
}
