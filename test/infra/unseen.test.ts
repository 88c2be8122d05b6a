import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Policies } from '../support/iam/policies.ts';
import { unseenCalls, type UnseenCall } from '../support/iam/unseen.ts';
import { at, list, root, synthesise, text } from './app.ts';

/** With everything that settings can add: the functions of databases join a network. */
const policies = new Policies(
  synthesise({
    settings: join(root, 'examples', 'settings-small-team.json'),
  }),
);
const calls = unseenCalls(policies);

describe('hard decision 15: what AWS services do where no recorder sees it is allowed', () => {
  const byPath = Map.groupBy(calls, ({ path }) => path);

  it('these are the paths', () => {
    expect([...byPath.keys()].toSorted()).toEqual([
      'CloudWatch Logs encrypts a log',
      'EventBridge carries an event to a subscriber',
      'EventBridge gathers events in a queue',
      'EventBridge gives up on an event',
      'EventBridge gives up on an event of a subscription',
      'Lambda gives up on an asynchronous invocation',
      'Lambda joins the network of the settings',
      'Lambda polls a queue',
      'Lambda polls a stream and gives up on a record',
      'Lambda writes the log of a function',
      'S3 writes access logs',
      'Step Functions delivers logs and traces',
      'Step Functions invokes a function',
      'cloudwatch.amazonaws.com tells a topic',
      'events.amazonaws.com tells a topic',
    ]);
  });

  it.each([...byPath])('%s', async (_path, made) => {
    const denied: string[] = [];
    for (const { by, asks } of made) {
      const { allowed, because } = await policies.decide(by, asks);
      if (!allowed) denied.push(`${who(by)}: ${asks.action} on ${asks.resource ?? '*'}: ${because}`);
    }
    expect(denied).toEqual([]);
  });

  it('a function may not use for itself what Lambda needs to join its network', async () => {
    const joins = byPath.get('Lambda joins the network of the settings') ?? [];
    expect(joins.length).toBeGreaterThan(0);
    for (const { by, asks } of joins) {
      const context = { 'lambda:SourceFunctionArn': 'arn:aws:lambda:eu-central-1:111122223333:function:one' };
      const { because } = await policies.decide(by, { ...asks, context });
      expect([who(by), asks.action, because]).toEqual([who(by), asks.action, 'ExplicitlyDenied']);
    }
  });
});

describe('services that invoke a function may, each from its source', () => {
  const permissions = policies
    .each('AWS::Lambda::Permission')
    .map(([{ Properties }, stack]) => policies.resolver.resolve(Properties, stack));
  const may = (principal: string, alias: string, source?: string): boolean =>
    permissions.some(
      (permission) =>
        at(permission, 'Principal') === principal &&
        at(permission, 'FunctionName') === alias &&
        (source === undefined || at(permission, 'SourceArn') === source),
    );

  it('rules invoke their targets', () => {
    const targets = policies.each('AWS::Events::Rule').flatMap(([rule, stack]) =>
      list(rule.Properties['Targets'])
        .map((target) => policies.resolver.text(at(target, 'Arn') ?? '', stack))
        .filter((target) => target.includes(':function:'))
        .map((target) => ({ target, source: policies.resolver.arn(rule, stack) })),
    );
    expect(targets.length).toBeGreaterThan(0);
    for (const { target, source } of targets) {
      expect([target, may('events.amazonaws.com', target, source)]).toEqual([target, true]);
    }
  });

  it('each API invokes its integration, each route by itself', () => {
    const apis = policies.each('AWS::ApiGatewayV2::Api');
    expect(apis).toHaveLength(3);
    for (const [api, stack] of apis) {
      const here = (type: string) => policies.each(type).filter(([, each]) => each === stack);
      const integrations = here('AWS::ApiGatewayV2::Integration').map(([each]) => each);
      for (const [{ Properties }] of here('AWS::ApiGatewayV2::Route')) {
        const reference = JSON.stringify(Properties['Target']);
        const integration = integrations.find(({ logicalId }) => reference.includes(`"${logicalId}"`));
        const target = policies.resolver.text(integration?.Properties['IntegrationUri'] ?? '', stack);
        const path = text(Properties['RouteKey']).split(' ')[1] ?? '';
        const source = `arn:aws:execute-api:eu-central-1:111122223333:${api.logicalId}/*/*${path}`;
        expect([path, may('apigateway.amazonaws.com', target, source)]).toEqual([path, true]);
      }
    }
  });

  it('Secrets Manager invokes every function that secrets are rotated by', () => {
    const rotators = policies.each('AWS::Lambda::Function').flatMap(([{ Properties }, stack]) => {
      const environment = at(Properties, 'Environment', 'Variables');
      return Object.entries(typeof environment === 'object' && environment !== null ? environment : {})
        .filter(([name]) => name === 'REKEY_ROTATOR')
        .map(([, alias]) => policies.resolver.text(alias, stack));
    });
    expect(rotators.length).toBeGreaterThan(0);
    for (const rotator of rotators) {
      expect([rotator, may('secretsmanager.amazonaws.com', rotator)]).toEqual([rotator, true]);
    }
  });
});

function who(by: UnseenCall['by']): string {
  return typeof by === 'string' ? by : by.name;
}
