import { AccessLogField, AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import { LogGroupLogDestination, type IAccessLogSettings } from 'aws-cdk-lib/aws-apigatewayv2';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';

/** One line for each request of an API: who asked for which route, and how it ended. */
export function accessLogTo(log: LogGroup): IAccessLogSettings {
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
