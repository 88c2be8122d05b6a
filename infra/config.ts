import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { settingsSchema, type NetworkSettings, type ParsedSettings } from './settings-schema.ts';
import { inWords } from '../shared/domain/wording.ts';

/** What a deployment is made of; every value is checked and complete. */
export interface Settings extends Omit<ParsedSettings, 'timing' | '$schema'> {
  readonly timing: {
    /** Absent: the bounds of the credential type hold. */
    readonly minWindowSeconds?: number;
    /** How long the lifecycle waits for the four steps of Secrets Manager. */
    readonly rotateTimeoutSeconds: number;
    readonly reconcileEverySeconds: number;
    /** How often the planner looks for what is due. */
    readonly planEverySeconds: number;
    readonly stuckAfterSeconds: number;
  };
}

/** The one stage that may shorten windows and waits. */
export const LOCAL = 'local';

/** The account that the local stack plays, one of those that AWS reserves for documentation. */
export const LOCAL_ACCOUNT = '111122223333';

/** What AWS stages run with. */
const TIMING = {
  rotateTimeoutSeconds: 3600,
  reconcileEverySeconds: 300,
  planEverySeconds: 300,
  stuckAfterSeconds: 900,
} as const;

/** What was given: context values of the CDK app (`-c name=value` or cdk.json), and where the CDK CLI is to deploy. */
export interface SettingsInput {
  readonly stage?: unknown;
  readonly tenant?: unknown;
  /** Path of a JSON file, or the object itself. */
  readonly settings?: unknown;
  /** `true` allows Object Lock in compliance mode. */
  readonly allowComplianceLock?: unknown;
  /** Account and region of the credentials, where the CDK CLI has some. */
  readonly account?: string | undefined;
  readonly region?: string | undefined;
}

/** One setting that can't be used: where, and what is wrong with it or to be done about it. */
export interface SettingsProblem {
  readonly field: string;
  readonly message: string;
}

/** Settings that can't be used; the message names each one at fault and what to do. */
export class SettingsError extends Error {
  readonly code = 'ERR_SETTINGS';
  readonly problems: readonly SettingsProblem[];

  constructor(problems: readonly SettingsProblem[]) {
    const lines = problems.map(({ field, message }) => `  - ${field}: ${message}`);
    super(
      `ERR_SETTINGS: these settings can't be used (docs/settings.md has every setting):\n${lines.join('\n')}`,
    );
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

/**
 * Settings of the stage that is synthesised. Everything that is wrong is reported at once: first the form of each field,
 * then how fields fit together and with the place of the deployment.
 * @throws SettingsError
 */
export function readSettings(input: SettingsInput): Settings {
  const given = {
    ...fileOf(input.settings),
    ...(input.stage === undefined ? {} : { stage: input.stage }),
    ...(input.tenant === undefined ? {} : { tenant: input.tenant }),
  };
  const parsed = settingsSchema.safeParse(given, { error: inWords });
  if (!parsed.success) throw new SettingsError(parsed.error.issues.flatMap(problemsOf));
  const { $schema: _schema, ...settings } = parsed.data;
  const problems = [
    ...stageProblems(settings, input.account),
    ...timingProblems(settings),
    ...lockProblems(settings, input.allowComplianceLock),
    ...alarmProblems(settings),
    ...(settings.network === undefined ? [] : networkProblems(settings.network)),
    ...databaseLogProblems(settings, input.account),
    ...regionProblems(settings, input.region),
  ];
  if (problems.length > 0) throw new SettingsError(problems);
  return { ...settings, timing: timingOf(settings) };
}

function timingOf({ timing }: ParsedSettings): Settings['timing'] {
  return {
    ...(timing.minWindowSeconds === undefined ? {} : { minWindowSeconds: timing.minWindowSeconds }),
    rotateTimeoutSeconds: timing.rotateTimeoutSeconds ?? TIMING.rotateTimeoutSeconds,
    reconcileEverySeconds: timing.reconcileEverySeconds ?? TIMING.reconcileEverySeconds,
    planEverySeconds: timing.planEverySeconds ?? TIMING.planEverySeconds,
    stuckAfterSeconds: timing.stuckAfterSeconds ?? TIMING.stuckAfterSeconds,
  };
}

/** Stage `local` shortens windows: nobody may bring it to AWS by mistake. */
function stageProblems({ stage }: ParsedSettings, account: string | undefined): SettingsProblem[] {
  if (stage !== LOCAL || account === undefined || account === LOCAL_ACCOUNT) return [];
  const message = `"${LOCAL}" is reserved for the local stack, and these are credentials of account ${account}; choose another name`;
  return [{ field: 'stage', message }];
}

/** A shortened window on AWS could end before a holder has moved: refused, not clamped. */
function timingProblems({ stage, timing }: ParsedSettings): SettingsProblem[] {
  if (stage === LOCAL) return [];
  return Object.entries(timing)
    .filter(([, value]) => value !== undefined)
    .map(([name]) => ({
      field: `timing.${name}`,
      message: `only stage "${LOCAL}" may set it, this is stage "${stage}"; remove it`,
    }));
}

function lockProblems({ archiveLock }: ParsedSettings, allowed: unknown): SettingsProblem[] {
  if (archiveLock.mode !== 'compliance' || allowed === true || allowed === 'true') return [];
  const message =
    `"compliance" keeps every record for ${archiveLock.days} days and nobody, root included, can ` +
    'shorten that; say so with -c allowComplianceLock=true, or use "governance"';
  return [{ field: 'archiveLock.mode', message }];
}

function alarmProblems({ alarms }: ParsedSettings): SettingsProblem[] {
  const repeated = [
    ...duplicates('alarms.emails', alarms.emails),
    ...duplicates('alarms.webhooks', alarms.webhooks),
  ];
  if (alarms.topicArn === undefined || alarms.emails.length + alarms.webhooks.length === 0) return repeated;
  const message =
    'subscriptions of your own topic are yours to make; remove alarms.emails and alarms.webhooks, or alarms.topicArn';
  return [...repeated, { field: 'alarms.topicArn', message }];
}

/** What can be known of a network without asking an account. The rest is CloudFormation's (`NetworkCheck`). */
function networkProblems(network: NetworkSettings): SettingsProblem[] {
  const { subnets, securityGroupIds, endpoints, dedicatedRouteTableIds } = network;
  const zones = subnets.map(({ zone }) => zone);
  const problems = [
    ...duplicates(
      'network.subnets',
      subnets.map(({ id }) => id),
      '.id',
    ),
    ...duplicates('network.securityGroupIds', securityGroupIds),
    ...duplicates('network.dedicatedRouteTableIds', dedicatedRouteTableIds),
  ];
  const add = (field: string, message: string): number => problems.push({ field, message });
  if (new Set(zones).size < 2) {
    add('network.subnets', 'all are in one availability zone; add a subnet in another, so that one may fail');
  }
  if (new Set(zones.map(regionOf)).size > 1) {
    add('network.subnets', 'the availability zones are of several regions; a VPC is in one');
  }
  if (endpoints === 'existing' && dedicatedRouteTableIds.length > 0) {
    add('network.dedicatedRouteTableIds', 'nothing uses it without endpoints "create"; remove it');
  }
  if (endpoints === 'create') {
    if (dedicatedRouteTableIds.length === 0) {
      add(
        'network.dedicatedRouteTableIds',
        'endpoints "create" wants the route tables of the subnets, which no other workload may use; ' +
          'name them, or use endpoints "existing"',
      );
    }
    for (const problem of duplicates('network.subnets', zones, '.zone')) {
      add(problem.field, 'an endpoint takes one subnet of each zone; name one, or use endpoints "existing"');
    }
  }
  return problems;
}

/** What a function's environment has room for, beside the rest of it. */
const DATABASE_LOGS_LENGTH = 3000;

/** A subscription reaches functions of its own account only, and a log group takes one of Rekey's. */
function databaseLogProblems(
  { uses: { databaseLogs } }: ParsedSettings,
  account: string | undefined,
): SettingsProblem[] {
  const problems = duplicates(
    'uses.databaseLogs',
    databaseLogs.map(({ logGroupArn }) => logGroupArn),
    '.logGroupArn',
  );
  for (const [index, { logGroupArn }] of databaseLogs.entries()) {
    const owner = logGroupArn.split(':')[4];
    if (account === undefined || owner === account) continue;
    const message = `it is of account ${owner ?? ''}, and this deployment goes to ${account}; name a log group of ${account}`;
    problems.push({ field: `uses.databaseLogs[${index}].logGroupArn`, message });
  }
  if (JSON.stringify(databaseLogs).length > DATABASE_LOGS_LENGTH) {
    const message = `together they are longer than the ${DATABASE_LOGS_LENGTH} characters that a function has room for; name fewer hosts`;
    problems.push({ field: 'uses.databaseLogs', message });
  }
  return problems;
}

/** Where the CDK CLI knows the region of the deployment, whatever belongs to another can't work. */
function regionProblems(settings: ParsedSettings, region: string | undefined): SettingsProblem[] {
  if (region === undefined) return [];
  const { network, alarms, adminSecretKeyArns, uses } = settings;
  const placed: [field: string, region: string | undefined][] = [
    ...(network?.subnets ?? []).map(({ zone }, index): [string, string] => [
      `network.subnets[${index}].zone`,
      regionOf(zone),
    ]),
    ['alarms.topicArn', alarms.topicArn?.split(':')[3]],
    ...adminSecretKeyArns.map((arn, index): [string, string | undefined] => [
      `adminSecretKeyArns[${index}]`,
      arn.split(':')[3],
    ]),
    ...uses.databaseLogs.map(({ logGroupArn }, index): [string, string | undefined] => [
      `uses.databaseLogs[${index}].logGroupArn`,
      logGroupArn.split(':')[3],
    ]),
  ];
  return placed
    .filter(([, found]) => found !== undefined && found !== region)
    .map(([field, found]) => ({
      field,
      message: `it is in ${found}, and this deployment goes to ${region}; name one of ${region}, or deploy with the profile or AWS_REGION of ${found}`,
    }));
}

function regionOf(zone: string): string {
  return zone.slice(0, -1);
}

/** The second and later occurrences of a value in a list. */
function duplicates(field: string, values: readonly string[], suffix = ''): SettingsProblem[] {
  return values.flatMap((value, index) => {
    const first = values.indexOf(value);
    if (first === index) return [];
    return [{ field: `${field}[${index}]${suffix}`, message: `the same as ${field}[${first}]; remove it` }];
  });
}

function fileOf(settings: unknown): object {
  if (settings === undefined) return {};
  const value = typeof settings === 'string' ? parseFile(settings) : settings;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new SettingsError([
    { field: 'settings', message: 'a JSON object, or the path of a file that holds one' },
  ]);
}

function parseFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SettingsError([{ field: 'settings', message: `can't read ${path} as JSON (${why})` }]);
  }
}

function problemsOf(issue: z.core.$ZodIssue): SettingsProblem[] {
  const field = fieldOf(issue.path);
  if (issue.code !== 'unrecognized_keys') {
    return [{ field: field === '' ? 'settings' : field, message: issue.message }];
  }
  return issue.keys.map((key) => ({
    field: field === '' ? key : `${field}.${key}`,
    message: 'there is no such setting; correct its spelling or remove it',
  }));
}

function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}
