import { fromInstant } from './clock.ts';
import { bad, ok, type Check } from './diagnosis.ts';
import type { Subscription } from './subscription.ts';

/** Longest silence of a function that its schedule calls every five minutes; the alarm `planner-failed` says the same. */
const SILENCE_MS = 15 * 60_000;

/** Whether a function that runs by schedule is alive, by the last run that it has completed. */
export function heartbeatCheck(name: string, schedule: string, last: string | undefined, now: number): Check {
  if (last === undefined) {
    return bad(
      'not-checked',
      'deployment',
      name,
      'no completed run is recorded yet',
      'wait for five minutes after a deployment; versions before this one record none: deploy this version',
    );
  }
  const minutes = Math.floor((now - fromInstant(last)) / 60_000);
  const detail = `its last completed run was ${minutes < 1 ? 'less than a minute' : `${minutes} min`} ago`;
  if (now - fromInstant(last) <= SILENCE_MS) return ok('deployment', name, detail);
  return bad(
    'fail',
    'deployment',
    name,
    detail,
    `its log says whether it fails; if it is silent, enable the rule ${schedule}`,
  );
}

/** A stack as CloudFormation describes it. */
export interface DescribedStack {
  readonly status: string;
  /** Whether its resources are as its template says, where somebody has asked. */
  readonly drift?: string;
}

/** Whether a stack is there and its last deployment came to its end. */
export function stackCheck(name: string, stack: DescribedStack | undefined): Check {
  const deploy = 'deploy it again: npx cdk deploy --all, with the stage and settings of this deployment';
  if (stack === undefined) return bad('fail', 'deployment', name, 'there is no such stack', deploy);
  const { status, drift } = stack;
  if (drift === 'DRIFTED') {
    return bad(
      'warn',
      'deployment',
      name,
      'somebody has changed its resources by hand (drift)',
      `aws cloudformation describe-stack-resource-drifts --stack-name ${name} shows what; deploy to undo it`,
    );
  }
  if (status === 'CREATE_COMPLETE' || status === 'UPDATE_COMPLETE') return ok('deployment', name, 'complete');
  if (status === 'UPDATE_ROLLBACK_COMPLETE') {
    return bad(
      'warn',
      'deployment',
      name,
      'its last deployment was rolled back: the one before runs',
      deploy,
    );
  }
  return status.endsWith('_IN_PROGRESS')
    ? bad('warn', 'deployment', name, `it is being changed (${status})`, 'look again once that has ended')
    : bad('fail', 'deployment', name, `it is ${status}`, deploy);
}

/** Whether alarms reach anybody. */
export function subscribersCheck({ confirmed, pending }: { confirmed: number; pending: number }): Check {
  const about = 'alarms';
  if (confirmed > 0)
    return ok('deployment', about, `reach ${confirmed} destination${confirmed === 1 ? '' : 's'}`);
  return pending > 0
    ? bad(
        'fail',
        'deployment',
        about,
        'reach nobody: no destination has confirmed its subscription',
        'follow the link in the message that SNS has sent to it',
      )
    : bad(
        'warn',
        'deployment',
        about,
        'reach nobody: no destination is named',
        'name one in the setting alarms (emails, webhooks or topicArn), and deploy',
      );
}

/** Whether everybody who is subscribed to events gets them, as far as the bus tells. */
export function subscriptionsCheck(subscriptions: readonly Subscription[]): Check {
  const about = 'subscriptions';
  const idle = subscriptions.filter(({ state }) => state !== 'delivering');
  if (idle.length === 0) return ok('deployment', about, `${subscriptions.length} deliver events`);
  return bad(
    'warn',
    'deployment',
    about,
    idle.map(({ fleet, to, state }) => `${fleet} to ${to} is ${state}`).join('; '),
    'rekey subscribe with the same fleet and target completes it, rekey unsubscribe ends it',
  );
}

/** Whether the CLI is that of the deployment. */
export function versionCheck(api: string, cli: string): Check {
  const about = 'control API';
  if (api === cli) return ok('deployment', about, `answers, version ${api}`);
  return bad(
    'warn',
    'deployment',
    about,
    `answers, version ${api}; this rekey is ${cli}`,
    'use the rekey of the checkout that was deployed, or deploy this one',
  );
}
