import { deploymentDiagnosis } from '../shared/api/messages.ts';
import {
  stackCheck,
  subscribersCheck,
  versionCheck,
  type DescribedStack,
} from '../shared/domain/diagnose-deployment.ts';
import { bad, type Check } from '../shared/domain/diagnosis.ts';
import { OPTIONAL_STACKS, OUTPUT, STACK_ROLES, stackName } from '../shared/names.ts';
import { REKEY_VERSION } from '../shared/version.ts';
import { isAbsent, outputOf, type AwsContext } from './aws.ts';
import type { ApiClient } from './client.ts';
import type { Context } from './context.ts';
import { failureOf, type Failure } from './failure.ts';
import { checkTrails } from './trails.ts';

/** The deployment: what its own functions see of it, and what the caller may see of its stacks and alarms. */
export async function checkDeployment(context: Context): Promise<{ checks: Check[]; client?: ApiClient }> {
  const [api, stacks] = await Promise.all([checkApi(context), checkStacks(context)]);
  // Without a region, or a network, all say the same.
  const told = new Set(api.checks.flatMap(({ state, detail }) => (state === 'ok' ? [] : [detail])));
  return { ...api, checks: [...api.checks, ...stacks.filter(({ detail }) => !told.has(detail))] };
}

async function checkApi(context: Context): Promise<{ checks: Check[]; client?: ApiClient }> {
  try {
    const client = await context.client();
    const { version, checks } = await client.get(deploymentDiagnosis, ['diagnosis']);
    return { checks: [versionCheck(version, REKEY_VERSION), ...(checks as Check[])], client };
  } catch (error) {
    return { checks: [unanswered('deployment', 'control API', failureOf(error))] };
  }
}

/** What the API's silence or refusal means: a caller without the right, or an older API, says nothing about Rekey. */
export function unanswered(area: Check['area'], name: string, failure: Failure): Check {
  const { code, message, remedy = 'see the log of control-api' } = failure;
  if (code === 'ERR_FORBIDDEN') return bad('not-checked', area, name, message, remedy);
  return /answered 404/.test(message)
    ? bad(
        'not-checked',
        area,
        name,
        'the API answered 404: it is another one, or of a version before this one',
        'check the address (--api-url, REKEY_API_URL); where it is right, deploy this version',
      )
    : bad('fail', area, name, message, remedy);
}

type Described = { stack: DescribedStack; text: string } | undefined | Check;

async function checkStacks({ aws, stage }: Context): Promise<Check[]> {
  const names = STACK_ROLES.map((role) => ({ role, name: stackName(stage, role) }));
  const described = await Promise.all(names.map(async ({ name }) => describe(aws, name)));
  if (described.every((each) => each === undefined)) {
    return [
      bad(
        'fail',
        'deployment',
        'stacks',
        `there is no stack ${stackName(stage, 'state')}, nor any other of this stage`,
        'pass the --stage, --region and --profile of your deployment',
      ),
    ];
  }
  const unseen = described.filter((each) => each !== undefined && 'state' in each);
  const [same, ...others] = unseen;
  if (
    same !== undefined &&
    unseen.length === names.length &&
    others.every((one) => one.detail === same.detail)
  )
    return [{ ...same, name: 'stacks' }];
  const checks = names.flatMap(({ role, name }, index) => {
    const found = described[index];
    if (found !== undefined && 'state' in found) return [found];
    return found === undefined && OPTIONAL_STACKS.includes(role) ? [] : [stackCheck(name, found?.stack)];
  });
  const output = (role: (typeof STACK_ROLES)[number], key: string): string | undefined => {
    const found = described[STACK_ROLES.indexOf(role)];
    return found !== undefined && 'text' in found ? outputOf(found.text, key) : undefined;
  };
  /** Of what an output would tell, where its stack can't be looked at: for the same reason. */
  const hidden = (role: (typeof STACK_ROLES)[number], about: string): Check | undefined => {
    const found = described[STACK_ROLES.indexOf(role)];
    return found !== undefined && 'state' in found ? { ...found, name: about } : undefined;
  };
  const readers = output('rotation', OUTPUT.readers);
  return [
    ...checks,
    hidden('monitoring', 'alarms') ?? (await checkAlarms(aws, output('monitoring', OUTPUT.alarms))),
    ...(readers === 'off'
      ? []
      : [hidden('rotation', 'reads of secrets') ?? (await checkTrails(aws, readers))]),
  ];
}

/** With the caller's own right; undefined where there is no such stack. */
async function describe(aws: AwsContext, name: string): Promise<Described> {
  const input = { Action: 'DescribeStacks', Version: '2010-05-15', StackName: name };
  const unknown = (detail: string, remedy: string): Check =>
    bad('not-checked', 'deployment', name, detail, remedy);
  try {
    const answer = await aws.query('cloudformation', input);
    if ('refused' in answer) {
      const { code, message } = answer.refused;
      return isAbsent(message)
        ? undefined
        : unknown(
            `CloudFormation refuses to describe it (${code})`,
            'allow you cloudformation:DescribeStacks on it',
          );
    }
    const { text } = answer;
    const drift = /<StackDriftStatus>(\w+)</.exec(text)?.[1];
    const status = /<StackStatus>(\w+)</.exec(text)?.[1] ?? 'in an unknown state';
    return { text, stack: { status, ...(drift === undefined ? {} : { drift }) } };
  } catch (error) {
    const { message, remedy = 'try again' } = failureOf(error);
    return unknown(message, remedy);
  }
}

/** Counts, no addresses. */
async function checkAlarms(aws: AwsContext, topic: string | undefined): Promise<Check> {
  const unknown = (detail: string, remedy: string): Check =>
    bad('not-checked', 'deployment', 'alarms', detail, remedy);
  if (topic === undefined)
    return unknown('the stack monitoring does not name the topic of its alarms', 'deploy this version');
  try {
    const input = { Action: 'GetTopicAttributes', Version: '2010-03-31', TopicArn: topic };
    const answer = await aws.query('sns', input);
    if ('refused' in answer) {
      return unknown(
        `SNS refuses to describe the topic ${topic} (${answer.refused.code})`,
        'allow you sns:GetTopicAttributes on it; a topic of another account answers to that account',
      );
    }
    const count = (name: string): number =>
      Number(new RegExp(`<key>${name}</key>\\s*<value>(\\d+)<`).exec(answer.text)?.[1] ?? 0);
    return subscribersCheck({
      confirmed: count('SubscriptionsConfirmed'),
      pending: count('SubscriptionsPending'),
    });
  } catch (error) {
    const { message, remedy = 'try again' } = failureOf(error);
    return unknown(message, remedy);
  }
}
