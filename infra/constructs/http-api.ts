import { RemovalPolicy } from 'aws-cdk-lib';
import { AccessLogField, AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  CfnStage,
  HttpApi,
  HttpMethod,
  HttpNoneAuthorizer,
  HttpStage,
  LogGroupLogDestination,
  type IAccessLogSettings,
  type ThrottleSettings,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { acknowledge } from '../nag.ts';
import type { StateStack } from '../stacks/state.ts';
import type { HandlerFunction } from './handler-function.ts';

/** What one API is beside another. */
interface HttpApiProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly description: string;
  /** Requests a second, of all callers together. */
  readonly throttle: ThrottleSettings;
  /** Each route has these by itself, so that a flood of one leaves the others alone. */
  readonly throttlesEachRoute?: boolean;
  /** Every route by itself, so that a caller's policy can name the ones that it may use. */
  readonly routes: readonly {
    readonly method: keyof typeof HttpMethod;
    readonly path: string;
    /** Known by IAM, unless said otherwise. */
    readonly access?: 'iam' | 'public';
    /** Why it is open, where what it shows isn't public. */
    readonly why?: string;
  }[];
  readonly handler: HandlerFunction;
  /** Id of the integration, which stays: it is in the logical ids of what is deployed. */
  readonly integration: string;
}

/** An API whose callers are known by IAM, and whose requests are logged. A function: a construct would rename what is deployed. */
export function httpApi(scope: Construct, props: HttpApiProps): { api: HttpApi; url: string } {
  const { settings, state, description, throttle, routes, handler } = props;
  const api = new HttpApi(scope, 'Api', {
    description,
    createDefaultStage: false,
    defaultAuthorizer: new HttpIamAuthorizer(),
  });
  const log = new LogGroup(scope, 'AccessLog', {
    retention: settings.logRetentionDays,
    encryptionKey: state.key,
    removalPolicy: RemovalPolicy.RETAIN,
  });
  const stage = new HttpStage(scope, 'Stage', {
    httpApi: api,
    stageName: '$default',
    autoDeploy: true,
    throttle,
    accessLogSettings: accessLogTo(log),
  });
  const integration = new HttpLambdaIntegration(props.integration, handler.live);
  if (props.throttlesEachRoute === true) throttleEach(stage, throttle, routes);
  for (const { method, path, access, why } of routes) {
    const methods = [HttpMethod[method]];
    if (access !== 'public') {
      api.addRoutes({ path, methods, integration });
      continue;
    }
    const open = api.addRoutes({ path, methods, integration, authorizer: new HttpNoneAuthorizer() });
    // Settings of a route that isn't there yet are refused.
    if (props.throttlesEachRoute === true) stage.node.addDependency(...open);
    for (const route of open)
      acknowledge(route, 'AwsSolutions-APIG4', why ?? 'What it shows is public: keys of verifiers.');
  }
  return { api, url: stage.url };
}

/** What the stage has by default counts the requests of all routes in one. */
function throttleEach(
  stage: HttpStage,
  { rateLimit, burstLimit }: ThrottleSettings,
  routes: HttpApiProps['routes'],
): void {
  const { defaultChild } = stage.node;
  if (!(defaultChild instanceof CfnStage)) throw new Error('the stage of an API is no CfnStage');
  const own = { ThrottlingRateLimit: rateLimit, ThrottlingBurstLimit: burstLimit };
  defaultChild.routeSettings = Object.fromEntries(
    routes.map(({ method, path }) => [`${method} ${path}`, own]),
  );
}

/** One line for each request of an API: who asked for which route, and how it ended. */
function accessLogTo(log: LogGroup): IAccessLogSettings {
  return {
    destination: new LogGroupLogDestination(log),
    format: AccessLogFormat.custom(
      JSON.stringify({
        requestId: AccessLogField.contextRequestId(),
        time: AccessLogField.contextRequestTime(),
        ip: AccessLogField.contextIdentitySourceIp(),
        caller: '$context.identity.userArn',
        route: '$context.routeKey',
        status: AccessLogField.contextStatus(),
        error: AccessLogField.contextErrorMessage(),
      }),
    ),
  };
}
