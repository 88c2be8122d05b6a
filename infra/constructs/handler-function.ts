import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Alias,
  Architecture,
  type CfnFunction,
  Code,
  Function as LambdaFunction,
  type IFunction,
  type IVersion,
  Runtime,
} from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { ENV, type FunctionName } from '../../shared/names.ts';
import { bundleHandler } from '../bundle.ts';
import { LOCAL, type Settings } from '../config.ts';
import { DatabaseNetwork } from './database-network.ts';
import { acknowledgeGrants } from '../nag.ts';
import { joinNetwork, statement, type Grant } from '../permissions.ts';

/** Environment by the names of `ENV`; the account is added to every function. */
export type HandlerEnvironment = Partial<Record<keyof typeof ENV, string>>;

export interface HandlerFunctionProps {
  readonly name: FunctionName;
  readonly description: string;
  readonly settings: Settings;
  /** Encrypts the log group. */
  readonly logKey: IKey;
  readonly environment: HandlerEnvironment;
  /** Everything that the role may do besides writing to its own log. */
  readonly grants: readonly Grant[];
  /** Logs in to databases: joins the network of the settings and trusts the certificate authorities of RDS. */
  readonly database?: boolean;
  /** Addresses of services for functions in the network, where Rekey makes the endpoints. */
  readonly endpoints?: Readonly<Record<string, string>> | undefined;
  readonly timeout: Duration;
  readonly memoryMiB?: number;
  readonly reservedConcurrency?: number | undefined;
  /** Takes the events of asynchronous calls that failed for good. */
  readonly deadLetters?: IQueue;
}

/** The only place that makes a Lambda function: ARM64, current Node LTS, one bundled file, a role and a log of its own. */
export class HandlerFunction extends Construct {
  readonly functionName: FunctionName;
  readonly timeout: Duration;
  readonly function: LambdaFunction;
  readonly logGroup: LogGroup;
  /** What everybody invokes, so that a deployment in the middle of a rotation is one atomic switch (hard decision 6). */
  readonly live: IFunction;

  constructor(scope: Construct, id: string, props: HandlerFunctionProps) {
    super(scope, id);
    const { settings } = props;
    this.functionName = props.name;
    this.timeout = props.timeout;
    this.logGroup = new LogGroup(this, 'Log', {
      retention: settings.logRetentionDays,
      encryptionKey: props.logKey,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `Rekey ${settings.stage}: ${props.name}`,
    });
    this.logGroup.grantWrite(role);
    const network = props.database === true ? settings.network : undefined;
    const grants = [...props.grants, ...(network === undefined ? [] : joinNetwork())];
    for (const grant of grants) role.addToPolicy(statement(grant));
    acknowledgeGrants(role, grants);

    const code = stage(props.name);
    this.function = new LambdaFunction(this, 'Function', {
      description: props.description,
      code: code.asset,
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memoryMiB ?? 512,
      timeout: props.timeout,
      role,
      logGroup: this.logGroup,
      environment: environmentOf(props),
      // No tracing of its own: the machines are traced and show every call; each role would need a wildcard for it,
      // and calls that are signed by hand would not show.
      ...(props.reservedConcurrency === undefined
        ? {}
        : { reservedConcurrentExecutions: props.reservedConcurrency }),
    });
    code.dispose();
    if (network !== undefined) this.#join(network);
    this.live = new Alias(this, 'Live', {
      aliasName: 'live',
      // Casts here and elsewhere: the declarations of aws-cdk-lib predate exactOptionalPropertyTypes.
      version: this.function.currentVersion as IVersion,
      ...(props.deadLetters === undefined ? {} : { onFailure: new SqsDestination(props.deadLetters) }),
    }) as IFunction;
  }

  /** Subnets and groups by id, without looking them up at synthesis. */
  #join(network: NonNullable<Settings['network']>): void {
    const resource = this.function.node.defaultChild as CfnFunction;
    const { subnetIds, securityGroupIds } = DatabaseNetwork.of(this, network);
    resource.vpcConfig = { subnetIds, securityGroupIds };
    this.function.addToRolePolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        actions: [...(joinNetwork()[0]?.actions ?? [])],
        resources: ['*'],
        // Set only on calls of the function's own code, not on those of the Lambda service.
        conditions: { Null: { 'lambda:SourceFunctionArn': 'false' } },
      }),
    );
  }
}

function environmentOf({
  name,
  environment,
  settings,
  database,
  endpoints,
}: HandlerFunctionProps): Record<string, string> {
  return {
    REKEY_FUNCTION: name,
    ...Object.fromEntries(
      Object.entries(environment).map(([key, value]) => [ENV[key as keyof typeof ENV], value]),
    ),
    ...(database === true ? endpoints : {}),
    // Node's own list of authorities lacks those of RDS; Lambda's runtime brings them.
    ...(database === true && settings.stage !== LOCAL
      ? { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' }
      : {}),
  };
}

/** The bundle as an asset. The folder may go once the function has been constructed, which copies it. */
function stage(name: FunctionName): { asset: Code; dispose: () => void } {
  const bundle = bundleHandler(name);
  const folder = mkdtempSync(join(tmpdir(), 'rekey-bundle-'));
  for (const [file, code] of bundle) writeFileSync(join(folder, file), code);
  return { asset: Code.fromAsset(folder), dispose: () => rmSync(folder, { recursive: true, force: true }) };
}
