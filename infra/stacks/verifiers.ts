import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { DIRECTORY_ROUTES } from '../../shared/domain/directory-routes.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction } from '../constructs/handler-function.ts';
import { httpApi } from '../constructs/http-api.ts';
import { acknowledgeGrants } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from './state.ts';

export interface VerifiersStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/** Requests a second, of everybody together: verifiers cache what they read for minutes. */
const THROTTLE = { rateLimit: 200, burstLimit: 400 };

/** A list is signed anew an hour after it was: another one is there in time, and a new authority has one soon. */
const LISTS_EVERY = Duration.minutes(5);

/**
 * What verifiers ask: public keys and trust bundles without authentication, tokens under IAM. Its function reads the directory and nothing
 * else of Rekey; a rotation needs nothing of this stack but its address.
 */
export class VerifiersStack extends Stack {
  readonly api: HttpApi;
  readonly handler: HandlerFunction;
  readonly url: string;
  /** Tells which certificates are revoked, and certifies nothing; where authorities are deployed. */
  readonly statusKey: Key | undefined;
  /** Revokes single certificates and signs lists of them; where authorities are deployed. */
  readonly revoker: HandlerFunction | undefined;

  constructor(scope: Construct, id: string, props: VerifiersStackProps) {
    super(scope, id, props);
    const { settings, state } = props;
    this.statusKey = settings.types.includes('certificate-authority') ? this.#statusKey() : undefined;
    const tells = this.statusKey?.keyArn;
    this.handler = new HandlerFunction(this, 'ServeDirectory', {
      name: 'serve-directory',
      description: 'Shows verifiers the public keys, trust bundles and tokens of agents',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(10),
      environment: {
        tenant: settings.tenant,
        directory: state.directoryTable.tableName,
        ...(tells === undefined ? {} : { statusKey: tells }),
      },
      grants: [
        ...may.readDirectory(state.directory, 'jwks', 'tokens', 'bundles'),
        ...(tells === undefined ? [] : may.tellStatuses(state.directory, tells)),
      ],
    });
    this.revoker = tells === undefined ? undefined : this.#revoker(props, tells);
    const { api, url } = httpApi(this, {
      settings,
      state,
      description: `Rekey ${settings.stage}: verifiers`,
      throttle: THROTTLE,
      routes: DIRECTORY_ROUTES,
      handler: this.handler,
      integration: 'Directory',
    });
    this.api = api;
    this.url = url;
    this.#policy(settings.stage);
    new CfnOutput(this, OUTPUT.directoryUrl, { value: url });
  }

  /** Losing it loses little: every authority that is trusted certifies another one within minutes. */
  #statusKey(): Key {
    return new Key(this, 'StatusKey', {
      description: 'Rekey: tells which certificates are revoked',
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      pendingWindow: Duration.days(7),
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }

  /** What faces the internet signs no list: this one does, ahead of time, and nobody outside can call it. */
  #revoker({ settings, state }: VerifiersStackProps, statusKey: string): HandlerFunction {
    const revoker = new HandlerFunction(this, 'RevokeCertificates', {
      name: 'revoke-certificates',
      description: 'Revokes certificates of agents, and signs the lists that say so',
      settings,
      logKey: state.key,
      timeout: Duration.minutes(2),
      environment: {
        tenant: settings.tenant,
        table: state.table.tableName,
        directory: state.directoryTable.tableName,
        statusKey,
      },
      grants: may.revokeCertificates(state, settings.stage, statusKey),
    });
    new Rule(this, 'ListSchedule', {
      description: 'Signs the lists of revoked certificates that are due',
      schedule: Schedule.rate(LISTS_EVERY),
      targets: [new LambdaTarget(revoker.live, { maxEventAge: LISTS_EVERY })],
    });
    return revoker;
  }

  /** For the roles of those who verify tokens: their owner attaches it. */
  #policy(stage: string): void {
    const grants = may.callDirectory((path) => may.arn('execute-api', `${this.api.apiId}/$default/${path}`));
    const policy = new ManagedPolicy(this, 'Policy', {
      managedPolicyName: `rekey-${stage}-verifier`,
      description: `Rekey ${stage}: a verifier of agents' tokens`,
      statements: grants.map(may.statement),
    });
    acknowledgeGrants(policy, grants);
  }
}
