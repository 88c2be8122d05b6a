import { ArnFormat, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import {
  Dashboard,
  GraphWidget,
  Stats,
  TextWidget,
  type IMetric,
  type Metric,
} from 'aws-cdk-lib/aws-cloudwatch';
import { EventField } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { FilterPattern, MetricFilter } from 'aws-cdk-lib/aws-logs';
import { SubscriptionProtocol, Topic, type ITopic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription, UrlSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { EVENT, EVENT_SOURCE, METRICS_NAMESPACE, OUTPUT, typedFunction } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import type { DatabaseLogObserver } from '../constructs/database-log-observer.ts';
import type { HandlerFunction } from '../constructs/handler-function.ts';
import { PageRule } from '../constructs/page-rule.ts';
import {
  PERIOD,
  RunbookAlarm,
  type RunbookAlarmProps,
  type RunbookEntry,
} from '../constructs/runbook-alarm.ts';
import type { AgentsStack } from './agents.ts';
import type { ApiStack } from './api.ts';
import type { EvidenceStack } from './evidence.ts';
import type { FamiliesStack } from './families.ts';
import type { IncidentStack } from './incident.ts';
import type { RotationStack } from './rotation.ts';
import type { Intake, Notices, SignalsStack } from './signals.ts';
import { idOf } from './rotation.ts';
import type { StateStack } from './state.ts';
import type { UsageStack } from './usage.ts';
import type { VerifiersStack } from './verifiers.ts';

export interface MonitoringStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly evidence: EvidenceStack;
  readonly rotation: RotationStack;
  readonly incident: IncidentStack;
  readonly api: ApiStack;
  readonly agents: AgentsStack;
  /** What verifiers ask, where types of identities are deployed. */
  readonly verifiers: VerifiersStack | undefined;
  /** Who refreshes token families, where they are deployed. */
  readonly families: FamiliesStack | undefined;
  /** What tells of leaks and of what is unusual, where anything does. */
  readonly signals: SignalsStack | undefined;
  /** What tells of uses at upstreams, where anything does. */
  readonly usage: UsageStack;
}

type What = Omit<RunbookAlarmProps, 'topic' | 'runbook'>;

/** What lambdas/archive-audit logs; a test holds the two equal. */
export const TAMPERED = 'audit record tampered with';

/** What lambdas/receive-signal logs; a test holds them equal. */
export const SIGNALS = {
  overBudget: 'signal over budget',
  refused: 'signal refused',
  notIdentified: 'signal not identified',
} as const;

/** What lambdas/observe-database-logs logs; a test holds them equal. */
export const DATABASE_LOGS = {
  undecided: 'database login undecided',
  notUnderstood: 'database log not understood',
} as const;

/** The record of what waits for a person at an upstream (shared/domain/audit.ts). */
const AWAITED = 'operator-awaited';

/** What token families tell of that needs a person. */
const OF_FAMILIES = ['consent-needed', 'refresh-failed', 'refresh-endangered'];

/** What the coordinator logs after each run, and what it counts in it. */
export const SWEPT = {
  message: 'families refreshed',
  counts: ['refreshed', 'failed', 'consentNeeded', 'left'],
} as const;

/** What stands in an event under a name. */
function said(field: string): string {
  return EventField.fromPath(`$.detail.${field}`);
}

/** Functions of which a single error pages, with the entry that says what to do. */
const ENTRY_OF: Partial<Record<string, RunbookEntry>> = {
  revoke: 'revocation-errors',
  'plan-rotations': 'planner-failed',
  reconcile: 'function-errors',
  'refresh-families': 'coordinator-failed',
  'revoke-certificates': 'lists-not-signed',
  'receive-notice': 'signals-failed',
  'collect-usage': 'usage-not-told',
};

/** Stream consumers that stand still this long lose records after 24 hours. */
const LAG = Duration.minutes(10);

/** What an execution of each machine is. */
const EXECUTIONS = {
  Rotation: 'A rotation',
  Emergency: 'An emergency revocation',
  Suspension: 'The suspension of what is held, or its end,',
} as const;

/** Says within minutes when a person is needed (P5). */
export class MonitoringStack extends Stack {
  readonly topic: ITopic;
  readonly #props: MonitoringStackProps;
  /** What became of token families, where they are deployed. */
  readonly #swept: IMetric[] = [];

  constructor(scope: Construct, id: string, props: MonitoringStackProps) {
    super(scope, id, props);
    this.#props = props;
    const { state, evidence, rotation, incident, api, agents, verifiers, families, signals, usage } = props;
    this.topic = this.#topic();
    new CfnOutput(this, OUTPUT.alarms, { value: this.topic.topicArn });
    this.#machine('Rotation', 'rotation-failed', rotation.lifecycle.machine);
    this.#machine('Emergency', 'emergency-failed', incident.emergency.machine);
    this.#machine('Suspension', 'signal-held', incident.suspension.machine);
    this.#emergencies(incident.emergency.machine);
    for (const handler of this.#handlers) this.#errors(handler);
    this.#deadLetters('Rotation', rotation.deadLetters);
    this.#deadLetters('Readers', usage.readers.deadLetters);
    this.#deadLetters('Uses', usage.deadLetters);
    if (usage.databaseLogs !== undefined) this.#databaseLogs(usage.databaseLogs);
    this.#deadLetters('Archiver', evidence.deadLetters);
    this.#deadLetters('Bus', state.busDeadLetters);
    this.#alarm('UndeliveredEvents', {
      summary: 'A subscriber could not be given events.',
      entry: 'undelivered-events',
      metric: waiting(api.subscriptions.deadLetters),
      threshold: 1,
    });
    this.#lag('ArchiveLag', 'archive-lag', 'The archive trails the ledger.', evidence.archiver);
    this.#lag('PublishLag', 'publish-lag', 'Events trail the ledger.', rotation.publisher);
    this.#tampering(evidence.archiver);
    this.#pages(
      'Pages',
      EVENT.failed,
      'rotation-failed',
      'Tells the alarm topic of rotations that need a person',
      [{ 'anything-but': [AWAITED, ...OF_FAMILIES] }],
    );
    this.#pages(
      'Operator',
      EVENT.failed,
      'awaiting-operator',
      'Tells the alarm topic what only a person can end at an upstream',
      [AWAITED],
      ` To do by hand: ${said('byHand')}.`,
    );
    this.#pages(
      'Expiring',
      EVENT.expiring,
      'rotation-overdue',
      'Tells the alarm topic of credentials past their policy',
    );
    this.#pages(
      'SignalHeld',
      EVENT.signal,
      'signal-held',
      'Tells the alarm topic of signals that wait for people',
      ['signal-held', 'signal-by-hand'],
      ` ${said('meanwhile')}`,
    );
    this.#pages(
      'GlassBroken',
      EVENT.signal,
      'glass-broken',
      'Tells the alarm topic of a signal that one person has approved alone',
      ['glass-broken'],
    );
    this.#pages(
      'Unusual',
      EVENT.anomaly,
      'unusual-use',
      'Tells the alarm topic of credentials whose use is unusual',
    );
    if (signals?.intake !== undefined) this.#signals(signals.intake);
    if (signals?.notices !== undefined) this.#notices(signals.notices);
    this.#silence(rotation.planner);
    if (families !== undefined) this.#families(families);
    this.#alarm('ApiErrors', {
      summary: 'The control API answers with server errors.',
      entry: 'api-errors',
      metric: api.api.metricServerError({ period: PERIOD, statistic: Stats.SUM }),
      threshold: 3,
    });
    this.#alarm('AgentApiServerErrors', {
      summary: 'The agent API answers with server errors.',
      entry: 'agent-api-errors',
      metric: agents.api.api.metricServerError({ period: PERIOD, statistic: Stats.SUM }),
      threshold: 3,
    });
    if (verifiers !== undefined) {
      this.#alarm('DirectoryServerErrors', {
        summary: 'Verifiers are answered with server errors: they go on with what they have read.',
        entry: 'directory-errors',
        metric: verifiers.api.metricServerError({ period: PERIOD, statistic: Stats.SUM }),
        threshold: 3,
      });
    }
    if (verifiers?.revoker !== undefined) this.#lists(verifiers.revoker);
    this.#dashboard();
  }

  /** Where alarms go: a topic of the settings, whose policy is its owner's, or one of Rekey's own. */
  #topic(): ITopic {
    const { settings, state } = this.#props;
    const { topicArn, emails, webhooks } = settings.alarms;
    if (topicArn !== undefined) return Topic.fromTopicArn(this, 'Alarms', topicArn);
    const topic = this.#ownTopic(state);
    for (const email of emails) topic.addSubscription(new EmailSubscription(email));
    for (const url of webhooks) {
      topic.addSubscription(new UrlSubscription(url, { protocol: SubscriptionProtocol.HTTPS }));
    }
    return topic;
  }

  get #handlers(): readonly HandlerFunction[] {
    const { evidence, rotation, incident, api, agents, verifiers, families, signals, usage } = this.#props;
    return [
      ...rotation.functions,
      ...incident.functions,
      evidence.archiver,
      api.handler,
      api.inventory,
      api.subscriptions.handler,
      agents.api.handler,
      ...(agents.api.issuer === undefined ? [] : [agents.api.issuer]),
      ...(verifiers === undefined ? [] : [verifiers.handler]),
      ...(verifiers?.revoker === undefined ? [] : [verifiers.revoker]),
      ...(families === undefined ? [] : [families.coordinator]),
      ...(signals?.intake === undefined ? [] : [signals.intake.handler]),
      ...(signals?.notices === undefined ? [] : [signals.notices.handler]),
      ...usage.functions,
    ];
  }

  #alarm(id: string, what: What): void {
    new RunbookAlarm(this, id, { ...what, topic: this.topic, runbook: this.#props.settings.runbook });
  }

  /** Every end of an execution but success means that a person is needed. */
  /** A policy of its own takes the place of SNS's default one, under which alarms could publish: it has to say so. */
  #ownTopic({ key }: StateStack): Topic {
    const topic = new Topic(this, 'Alarms', { masterKey: key, enforceSSL: true });
    topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AllowAlarms',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [topic.topicArn],
        conditions: {
          ArnLike: {
            'aws:SourceArn': this.formatArn({
              service: 'cloudwatch',
              resource: 'alarm',
              resourceName: '*',
              arnFormat: ArnFormat.COLON_RESOURCE_NAME,
            }),
          },
        },
      }),
    );
    return topic;
  }

  #machine(id: keyof typeof EXECUTIONS, entry: RunbookEntry, machine: StateMachine): void {
    const options = { period: Duration.minutes(1), statistic: Stats.SUM };
    const ends: [string, string, IMetric][] = [
      ['Failed', 'failed, is stuck or is held', machine.metricFailed(options)],
      ['TimedOut', 'ran out of time', machine.metricTimedOut(options)],
      ['Aborted', 'was stopped by somebody', machine.metricAborted(options)],
    ];
    for (const [end, text, metric] of ends) {
      this.#alarm(`${id}${end}`, { summary: `${EXECUTIONS[id]} ${text}.`, entry, metric, threshold: 1 });
    }
  }

  #errors(handler: HandlerFunction): void {
    const entry = ENTRY_OF[typedFunction(handler.functionName)?.role ?? handler.functionName];
    this.#alarm(`${idOf(handler.functionName)}Errors`, {
      summary: `The function ${handler.functionName} fails.`,
      entry: entry ?? 'function-errors',
      metric: handler.function.metricErrors({ period: PERIOD, statistic: Stats.SUM }),
      // Errors that are tried again are part of ordinary work; a revocation has none, and what runs by schedule does
      // what it can before it fails.
      threshold: entry === undefined ? 5 : 1,
    });
  }

  /** A planner that isn't called at all has no errors either. */
  #silence(planner: HandlerFunction): void {
    this.#alarm('PlannerSilent', {
      summary: 'The planner has not run for 15 minutes: nothing that is due begins.',
      entry: 'planner-failed',
      metric: planner.function.metricInvocations({ period: PERIOD, statistic: Stats.SUM }),
      threshold: 1,
      evaluationPeriods: 3,
      below: true,
    });
  }

  /** A coordinator that isn't called has no errors either; access tokens end within the hour. */
  #families({ coordinator, deadLetters }: FamiliesStack): void {
    this.#deadLetters('Families', deadLetters);
    this.#pages(
      'Consent',
      EVENT.failed,
      'consent-needed',
      'Tells the alarm topic of token families that need a person',
      OF_FAMILIES,
    );
    this.#alarm('CoordinatorSilent', {
      summary: 'Token families have not been looked at for 10 minutes: access tokens will expire.',
      entry: 'coordinator-failed',
      metric: coordinator.function.metricInvocations({ period: PERIOD, statistic: Stats.SUM }),
      threshold: 1,
      evaluationPeriods: 2,
      below: true,
    });
    const metrics = SWEPT.counts.map((count) => this.#sweptOf(coordinator, count));
    this.#swept.push(...metrics.map((metric) => metric.with({ statistic: Stats.SUM, period: PERIOD })));
    const [, failed, , left] = metrics;
    if (failed === undefined || left === undefined) return;
    this.#alarm('RefreshesFailing', {
      summary: 'Refreshes of token families fail again and again: agents work until their access tokens end.',
      entry: 'refreshes-failing',
      metric: failed.with({ statistic: Stats.SUM, period: Duration.minutes(15) }),
      threshold: 5,
    });
    this.#alarm('FamiliesLeft', {
      summary: 'More token families are due than one run of the coordinator comes to.',
      entry: 'coordinator-failed',
      metric: left.with({ statistic: Stats.MINIMUM, period: PERIOD }),
      threshold: 1,
      evaluationPeriods: 2,
    });
  }

  #sweptOf({ logGroup }: HandlerFunction, count: (typeof SWEPT.counts)[number]): Metric {
    const metricName = `Families${count.charAt(0).toUpperCase()}${count.slice(1)}`;
    return new MetricFilter(this, `${metricName}Filter`, {
      logGroup,
      filterPattern: FilterPattern.stringValue('$.message', '=', SWEPT.message),
      metricNamespace: METRICS_NAMESPACE,
      metricName,
      metricValue: `$.counts.${count}`,
    }).metric();
  }

  /** Nobody is refused for a day: a list counts for 25 hours when the next one is due. */
  #lists(revoker: HandlerFunction): void {
    this.#alarm('ListsSilent', {
      summary:
        'No list of revoked certificates has been signed for an hour: they count for a day beyond that.',
      entry: 'lists-not-signed',
      metric: revoker.function.metricInvocations({ period: PERIOD, statistic: Stats.SUM }),
      threshold: 1,
      evaluationPeriods: 12,
      below: true,
    });
  }

  #deadLetters(id: string, queue: Queue): void {
    this.#alarm(`${id}DeadLetters`, {
      summary: 'Something could not be delivered and waits in a dead-letter queue.',
      entry: 'dead-letters',
      metric: waiting(queue),
      threshold: 1,
    });
  }

  #lag(id: string, entry: RunbookEntry, summary: string, handler: HandlerFunction): void {
    this.#alarm(id, { summary, entry, metric: iteratorAge(handler), threshold: LAG.toMilliseconds() });
  }

  /** The archiver tells of it in its log; nobody and nothing changes an audit row in ordinary work. */
  #tampering(archiver: HandlerFunction): void {
    this.#logged(archiver, 'AuditTampering', TAMPERED, {
      summary: 'An audit record was changed or removed in the ledger.',
      entry: 'audit-tampering',
      threshold: 1,
    });
  }

  /** What the intake tells in its log of signals that did nothing. */
  #signals({ api, handler }: Intake): void {
    this.#logged(handler, 'SignalsOverBudget', SIGNALS.overBudget, {
      summary: 'A source sends more signals than are taken in an hour; those above were refused.',
      entry: 'signals-over-budget',
      threshold: 1,
    });
    this.#logged(handler, 'SignalsRefused', SIGNALS.refused, {
      summary: 'Deliveries of signals are refused: forged, or a shared secret is out of step.',
      entry: 'signals-refused',
      threshold: 20,
    });
    this.#logged(handler, 'SignalNotIdentified', SIGNALS.notIdentified, {
      summary: 'A source tells of a leak that Rekey can not match to a credential.',
      entry: 'signal-not-identified',
      threshold: 1,
    });
    this.#alarm('SignalsServerErrors', {
      summary: 'Signals are answered with server errors: not every source sends again by itself.',
      entry: 'signals-failed',
      metric: api.metricServerError({ period: PERIOD, statistic: Stats.SUM }),
      threshold: 1,
    });
  }

  /** The same of what comes from within AWS; what could not be done waits in a queue. */
  #notices({ handler, deadLetters }: Notices): void {
    this.#deadLetters('Notices', deadLetters);
    this.#logged(handler, 'NoticesOverBudget', SIGNALS.overBudget, {
      summary: 'More is noticed than is taken in an hour; it waits.',
      entry: 'signals-over-budget',
      threshold: 1,
    });
    this.#logged(handler, 'NoticeNotIdentified', SIGNALS.notIdentified, {
      summary: 'AWS tells of a key at risk that Rekey can not match to a credential.',
      entry: 'signal-not-identified',
      threshold: 1,
    });
  }

  /** What the reader of databases' logs tells of what it could not keep. */
  #databaseLogs({ handler, deadLetters }: DatabaseLogObserver): void {
    this.#deadLetters('DatabaseLogs', deadLetters);
    this.#logged(handler, 'DatabaseLoginUndecided', DATABASE_LOGS.undecided, {
      summary: 'Somebody logged in to a database, and the settings do not say with which credential.',
      entry: 'database-login-undecided',
      threshold: 1,
    });
    this.#logged(handler, 'DatabaseLogNotUnderstood', DATABASE_LOGS.notUnderstood, {
      summary: "Lines of a database's log are not in the form that is read: logins in them are not kept.",
      entry: 'database-log-not-understood',
      threshold: 1,
    });
  }

  /** Alarms on a message in the log of a function. */
  #logged(handler: HandlerFunction, name: string, message: string, what: Omit<What, 'metric'>): void {
    const filter = new MetricFilter(this, name === 'AuditTampering' ? 'TamperingFilter' : `${name}Filter`, {
      logGroup: handler.logGroup,
      filterPattern: FilterPattern.stringValue('$.message', '=', message),
      metricNamespace: METRICS_NAMESPACE,
      metricName: name,
    });
    this.#alarm(name, { ...what, metric: filter.metric({ period: PERIOD, statistic: Stats.SUM }) });
  }

  /** What pages a person without ending an execution: an extended window, an abandoned rotation. */
  #pages(
    id: string,
    detailType: string,
    entry: RunbookEntry,
    description: string,
    action?: (string | object)[],
    more = '',
  ): void {
    const { settings, state } = this.#props;
    new PageRule(this, id, {
      settings,
      topic: this.topic,
      bus: state.bus,
      pattern: {
        source: [EVENT_SOURCE],
        detailType: [detailType],
        ...(action === undefined ? {} : { detail: { action } }),
      },
      description,
      text: `${said('action')} of ${said('credential')}, rotation ${said('rotationId')}.${more}`,
      entry,
    });
  }

  /** That agents were halted, whoever has ordered it: a source of signals needs nobody for that. */
  #emergencies(machine: StateMachine): void {
    const { settings, state } = this.#props;
    const common = { settings, topic: this.topic, entry: 'emergency-under-way' } as const;
    new PageRule(this, 'EmergencyBegun', {
      ...common,
      description: 'Tells the alarm topic of emergencies as they begin',
      // The executions of its batches are of another name.
      pattern: {
        source: ['aws.states'],
        detailType: ['Step Functions Execution Status Change'],
        detail: { stateMachineArn: [machine.stateMachineArn], status: ['RUNNING'] },
      },
      text: `the emergency ${said('name')} has begun: credentials are revoked and their agents halted. Its incident: rekey incident list.`,
    });
    new PageRule(this, 'EmergencyEnded', {
      ...common,
      bus: state.bus,
      description: 'Tells the alarm topic of emergencies as they end',
      pattern: { source: [EVENT_SOURCE], detailType: [EVENT.emergency] },
      text: `an emergency of the incident ${said('incidentId')} has ended. What did not end as it was asked for pages by itself.`,
    });
  }

  #dashboard(): void {
    const { settings, state, evidence, rotation, incident, api, agents, usage } = this.#props;
    const sum = { period: PERIOD, statistic: Stats.SUM };
    const { machine } = rotation.lifecycle;
    const emergency = incident.emergency.machine;
    const graph = (title: string, left: IMetric[]): GraphWidget => new GraphWidget({ title, left, width: 8 });
    new Dashboard(this, 'Dashboard', {
      widgets: [
        [
          new TextWidget({
            markdown: `# Rekey ${settings.stage}\nWhat to do: ${settings.runbook}`,
            width: 24,
            height: 2,
          }),
        ],
        [
          graph('Rotations', [
            machine.metricStarted(sum),
            machine.metricSucceeded(sum),
            machine.metricFailed(sum),
          ]),
          graph('Emergencies', [
            emergency.metricStarted(sum),
            emergency.metricSucceeded(sum),
            emergency.metricFailed(sum),
          ]),
          graph(
            'Errors of functions',
            this.#handlers.map((handler) => handler.function.metricErrors(sum)),
          ),
        ],
        [
          graph('Lag of archive and events', [
            iteratorAge(evidence.archiver),
            iteratorAge(rotation.publisher),
          ]),
          graph(
            'Dead letters',
            [
              rotation.deadLetters,
              usage.readers.deadLetters,
              evidence.deadLetters,
              state.busDeadLetters,
              api.subscriptions.deadLetters,
            ].map((queue) => waiting(queue)),
          ),
          graph('Control API', [api.api.metricCount(sum), api.api.metricServerError(sum)]),
          graph('Agent API', [
            agents.api.api.metricCount(sum),
            agents.api.api.metricClientError(sum),
            agents.api.api.metricServerError(sum),
          ]),
        ],
        ...(this.#swept.length === 0 ? [] : [[graph('Token families', this.#swept)]]),
      ],
    });
  }
}

function waiting(queue: Queue): IMetric {
  return queue.metricApproximateNumberOfMessagesVisible({ period: PERIOD, statistic: Stats.MAXIMUM });
}

function iteratorAge(handler: HandlerFunction): IMetric {
  return handler.function.metric('IteratorAge', { period: PERIOD, statistic: Stats.MAXIMUM });
}
