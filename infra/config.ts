import { readFileSync } from 'node:fs';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { z } from 'zod';

const seconds = (min: number, max: number): z.ZodInt => z.int().min(min).max(max);

const schema = z.strictObject({
  stage: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,15}$/, 'use 1 to 16 of a-z, 0-9 and "-", a letter first')
    .default('dev'),
  tenant: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and "-"')
    .default('default'),
  /** Receives every alarm. Without it, subscribe something to the alarm topic yourself. */
  alarmEmail: z.email().optional(),
  /** Where docs/runbook.md can be read; alarms link to it. */
  runbook: z.string().min(1).default('docs/runbook.md'),
  /** One of the spans that CloudWatch Logs knows. */
  logRetentionDays: z.enum(RetentionDays).default(RetentionDays.THIRTEEN_MONTHS),
  /** Object Lock of the audit archive. */
  archiveLock: z
    .strictObject({
      mode: z.enum(['governance', 'compliance']).default('governance'),
      days: z.int().min(1).max(36_500).default(1),
    })
    .prefault({}),
  /** Network of the functions that log in to databases; without it they run outside any VPC. */
  network: z
    .strictObject({
      subnetIds: z.array(z.string().regex(/^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/, 'a subnet id')).min(1),
      securityGroupIds: z
        .array(z.string().regex(/^sg-([0-9a-f]{8}|[0-9a-f]{17})$/, 'a security group id'))
        .min(1),
    })
    .optional(),
  /** Beginning of the name of every secret that Rekey makes; its roles reach no secret of another name. */
  secretPrefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9/_+=.@-]{0,63}\/$/, 'a name that ends in "/", such as agents/')
    .default('agents/'),
  /** Customer keys with which the administrative secrets are encrypted, where they are not the account's default. */
  adminSecretKeyArns: z
    .array(z.string().regex(/^arn:[^:]+:kms:[^:]+:\d{12}:key\/.+$/, 'the ARN of a key'))
    .default([]),
  /** Lambda capacity kept free for the function named; counts against the account's quota. */
  reservedConcurrency: z
    .strictObject({
      revoke: z.int().min(1).max(1000).optional(),
      rotate: z.int().min(1).max(1000).optional(),
    })
    .prefault({}),
  /** Only stage "local" sets these (see `assertTiming`). */
  timing: z
    .strictObject({
      minWindowSeconds: seconds(1, 900).optional(),
      rotateTimeoutSeconds: seconds(5, 86_400).optional(),
      reconcileEverySeconds: seconds(60, 3600)
        .refine((value) => value % 60 === 0, 'use whole minutes')
        .optional(),
      planEverySeconds: seconds(60, 3600)
        .refine((value) => value % 60 === 0, 'use whole minutes')
        .optional(),
      stuckAfterSeconds: seconds(1, 86_400).optional(),
    })
    .prefault({}),
});

type Parsed = z.infer<typeof schema>;

/** What a deployment is made of; every value is checked and complete. */
export interface Settings extends Omit<Parsed, 'timing'> {
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

/** What AWS stages run with. */
const TIMING = {
  rotateTimeoutSeconds: 3600,
  reconcileEverySeconds: 300,
  planEverySeconds: 300,
  stuckAfterSeconds: 900,
} as const;

/** What was given: context values of the CDK app (`-c name=value` or cdk.json). */
export interface SettingsInput {
  readonly stage?: unknown;
  readonly tenant?: unknown;
  /** Path of a JSON file, or the object itself. */
  readonly settings?: unknown;
  /** `true` allows Object Lock in compliance mode. */
  readonly allowComplianceLock?: unknown;
}

/** Settings that can't be used; the message names each one at fault and what to do. */
export class SettingsError extends Error {
  constructor(problems: readonly string[]) {
    super(`These settings can't be used:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'SettingsError';
  }
}

/**
 * Settings of the stage that is synthesised.
 * @throws SettingsError
 */
export function readSettings(input: SettingsInput): Settings {
  const file = fileOf(input.settings);
  const given = {
    ...file,
    ...(input.stage === undefined ? {} : { stage: input.stage }),
    ...(input.tenant === undefined ? {} : { tenant: input.tenant }),
  };
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new SettingsError(parsed.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`));
  }
  const settings = parsed.data;
  assertTiming(settings);
  assertLock(settings, input.allowComplianceLock);
  return { ...settings, timing: timingOf(settings) };
}

function timingOf({ timing }: Parsed): Settings['timing'] {
  return {
    ...(timing.minWindowSeconds === undefined ? {} : { minWindowSeconds: timing.minWindowSeconds }),
    rotateTimeoutSeconds: timing.rotateTimeoutSeconds ?? TIMING.rotateTimeoutSeconds,
    reconcileEverySeconds: timing.reconcileEverySeconds ?? TIMING.reconcileEverySeconds,
    planEverySeconds: timing.planEverySeconds ?? TIMING.planEverySeconds,
    stuckAfterSeconds: timing.stuckAfterSeconds ?? TIMING.stuckAfterSeconds,
  };
}

/** A shortened window on AWS could end before a holder has moved: refused, not clamped. */
function assertTiming({ stage, timing }: Parsed): void {
  if (stage === LOCAL) return;
  const set = Object.entries(timing).filter(([, value]) => value !== undefined);
  if (set.length === 0) return;
  throw new SettingsError(
    set.map(
      ([name]) => `timing.${name}: only stage "${LOCAL}" may set it, this is stage "${stage}"; remove it`,
    ),
  );
}

function assertLock({ archiveLock }: Parsed, allowed: unknown): void {
  if (archiveLock.mode !== 'compliance' || allowed === true || allowed === 'true') return;
  throw new SettingsError([
    `archiveLock.mode: "compliance" keeps every record for ${archiveLock.days} days and nobody, root included, can ` +
      'shorten that; say so with -c allowComplianceLock=true, or use "governance"',
  ]);
}

function fileOf(settings: unknown): object {
  if (settings === undefined) return {};
  const value = typeof settings === 'string' ? parseFile(settings) : settings;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new SettingsError(['settings: a JSON object, or the path of a file that holds one']);
}

function parseFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SettingsError([
      `settings: can't read ${path} as JSON (${error instanceof Error ? error.message : String(error)})`,
    ]);
  }
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'settings' : path.map(String).join('.');
}
