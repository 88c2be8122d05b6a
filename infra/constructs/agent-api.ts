import { CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import { HttpMethod, type HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { AGENT_ROUTES, ISSUING_ROUTES } from '../../shared/domain/agent-routes.ts';
import { OUTPUT } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { acknowledgeGrants } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from '../stacks/state.ts';
import { HandlerFunction } from './handler-function.ts';
import { httpApi } from './http-api.ts';

export interface AgentApiProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly lifecycleArn: string;
}

/**
 * Requests a second, of all agents together: 6,000 sessions with a heartbeat and a look at their notices each minute. A
 * fleet that runs wild is turned away here and takes no capacity from an emergency.
 */
const THROTTLE = { rateLimit: 200, burstLimit: 400 };

/** What agents talk to (docs/agents.md). Callers are known by IAM; the function holds no right to any secret. */
export class AgentApi extends Construct {
  readonly api: HttpApi;
  readonly handler: HandlerFunction;
  /** What issues certificates, where certificate authorities are deployed. */
  readonly issuer: HandlerFunction | undefined;

  constructor(scope: Construct, id: string, props: AgentApiProps) {
    super(scope, id);
    const { settings, state } = props;
    this.handler = this.#handler(props);
    const { api, url } = httpApi(this, {
      settings,
      state,
      description: `Rekey ${settings.stage}: agents`,
      throttle: THROTTLE,
      routes: AGENT_ROUTES,
      handler: this.handler,
      integration: 'Agents',
    });
    this.api = api;
    this.issuer = settings.types.includes('certificate-authority') ? this.#issuer(props) : undefined;
    this.#policy(settings.stage);
    new CfnOutput(Stack.of(this), OUTPUT.agentApi, { value: url });
  }

  /** For the roles that agents run as: their owner attaches it. */
  #policy(stage: string): void {
    const more = this.issuer === undefined ? [] : ISSUING_ROUTES.map(({ method, path }) => method + path);
    const grants = may.callAgentApi(this.api.apiId, more);
    const policy = new ManagedPolicy(this, 'Policy', {
      managedPolicyName: `rekey-${stage}-agent`,
      description: `Rekey ${stage}: an agent`,
      statements: grants.map(may.statement),
    });
    acknowledgeGrants(policy, grants);
  }

  #handler({ settings, state, lifecycleArn }: AgentApiProps): HandlerFunction {
    const { ledger } = state;
    return new HandlerFunction(this, 'AgentApi', {
      name: 'agent-api',
      description: 'API of agents: pacts, sessions, notices, acknowledgements',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(15),
      environment: {
        tenant: settings.tenant,
        table: state.table.tableName,
        sealingKey: ledger.keyArn,
        lifecycle: lifecycleArn,
      },
      grants: [...may.keepAgents(ledger), ...may.checkProofs(ledger), ...may.answer(lifecycleArn)],
    });
  }

  /** A function of its own: what signs with the keys of authorities does nothing else, and heartbeats don't load what it needs. */
  #issuer({ settings, state }: AgentApiProps): HandlerFunction {
    const issuer = new HandlerFunction(this, 'IssueCertificates', {
      name: 'issue-certificates',
      description: 'Issues certificates to agents',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(15),
      environment: {
        tenant: settings.tenant,
        table: state.table.tableName,
        directory: state.directoryTable.tableName,
      },
      grants: may.issueCertificates(state.ledger, state.directory, settings.stage),
    });
    const integration = new HttpLambdaIntegration('Certificates', issuer.live);
    for (const { method, path } of ISSUING_ROUTES)
      this.api.addRoutes({ path, methods: [HttpMethod[method]], integration });
    return issuer;
  }
}
