import { Rule, RuleTargetInput, type EventBus, type EventPattern } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { acknowledge } from '../nag.ts';
import type { RunbookEntry } from './runbook-alarm.ts';

export interface PageRuleProps {
  readonly settings: Settings;
  readonly topic: ITopic;
  /** The account's default bus where it isn't said. */
  readonly bus?: EventBus;
  readonly pattern: EventPattern;
  readonly description: string;
  /** What a person reads, in whole sentences. */
  readonly text: string;
  readonly entry: RunbookEntry;
}

/** An event that tells a person, with the entry of the runbook that says what to do. */
export class PageRule extends Rule {
  constructor(scope: Construct, id: string, props: PageRuleProps) {
    const { settings, topic, bus, pattern, description, text, entry } = props;
    const message = `Rekey ${settings.stage}: ${text} Runbook: ${settings.runbook}#${entry}`;
    super(scope, id, {
      ...(bus === undefined ? {} : { eventBus: bus }),
      description,
      eventPattern: pattern,
      targets: [new SnsTopic(topic, { message: RuleTargetInput.fromText(message) })],
    });
    if (settings.alarms.topicArn !== undefined) {
      acknowledge(
        this,
        'Annotation::@aws-cdk/aws-events:ruleUnresolvedEnvironment',
        "CloudWatch wants the topic in the stack's own region; where it is is checked at synthesis.",
      );
    }
  }
}
