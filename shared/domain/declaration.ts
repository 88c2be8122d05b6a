import { BlockList, isIP } from 'node:net';
import * as z from 'zod';
import { RekeyError } from './errors.ts';
import type { Holder } from './holders.ts';
import type { Mode, PolicyInput } from './policy.ts';
import { boundsOf } from './policy.ts';

/** Version of the declaration file's format. */
export const DECLARATION_VERSION = 1;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;

/** A duration such as `90s`, `15m`, `4h` or `30d`, in seconds. */
export const duration = z
  .string()
  .regex(/^[1-9]\d{0,6}[smhd]$/, 'write a duration as a whole number with s, m, h or d, e.g. 30m')
  .describe('A duration: a whole number with s, m, h or d, e.g. 30m');

/** Seconds of a checked duration. */
export function durationSeconds(text: string): number {
  return Number(text.slice(0, -1)) * (UNITS[text.slice(-1)] ?? Number.NaN);
}

const zeroOrDuration = z.union([z.literal('0s'), duration]);

const holderFields = {
  name: z.string().min(1).max(128).describe('Name of the agent or fleet, as it shall stand in the audit'),
  agents: z.int().min(1).max(1_000_000).optional().describe('How many instances share the credential'),
  principal: z
    .string()
    .regex(/^arn:[a-z-]+:iam::\d{12}:(role|user)\/.{1,512}$/, 'write the ARN of an IAM role or user')
    .optional()
    .describe('Role or user that it reads the secret as; reads by others are shown as proposed holders'),
};
const ecsName = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/, 'use the name, not the ARN');

const holder = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('polling').describe('Reads the secret again and again; moves within its TTL'),
      ...holderFields,
      ttl: duration.describe('Longest time that it keeps a value after it has changed'),
    }),
    z.strictObject({
      kind: z.literal('ecs-restart').describe('An ECS service that gets the value when its tasks start'),
      ...holderFields,
      cluster: ecsName.describe('Name of the cluster, in the account and region of the deployment'),
      service: ecsName.describe('Name of the service, tagged rekey:stage; Rekey redeploys it in the window'),
    }),
    z.strictObject({
      kind: z.literal('lambda').describe('A Lambda function'),
      ...holderFields,
      function: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}(:(?!\d+$)[A-Za-z0-9_-]{1,128})?$/, 'use name or name:alias')
        .describe('Name as its callers use it, with the alias where they use one, e.g. orders:live'),
      ttl: duration
        .optional()
        .describe('It checks the age of its value at each invocation; without it, it reads once per sandbox'),
    }),
    z.strictObject({
      kind: z.literal('manual').describe('Moves by hand; somebody confirms it with `rekey confirm`'),
      ...holderFields,
    }),
  ],
  { error: 'use one of the kinds polling, ecs-restart, lambda, manual' },
);

const policy = z.strictObject({
  interval: duration.optional().describe("Time between rotations; default: the type's maximum"),
  window: duration.optional().describe('How long old and new both work, at least twice the longest TTL'),
  deadline: duration.optional().describe('Latest regular end of the window, counted from its opening'),
  cap: duration.optional().describe('How far an extension may go, counted from the opening'),
  soak: zeroOrDuration.optional().describe('Between the suspension of the old credential and its revocation'),
  announce: zeroOrDuration.optional().describe('Notice given before a planned rotation'),
  atDeadline: z.enum(['extend', 'revoke']).optional().describe('What happens where somebody has not moved'),
  access: z.enum(['read', 'write']).optional(),
  sensitivity: z.enum(['normal', 'sensitive']).optional(),
  exception: z
    .strictObject({
      reason: z.string().min(1),
      expires: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'write a date as YYYY-MM-DD'),
    })
    .optional()
    .describe("Allows an interval above the type's maximum, until it expires"),
});

const entry = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use lower-case letters, digits and hyphens, at most 63 characters')
    .refine((name) => !UUID.test(name), 'a name must not look like an id (a UUID)')
    .describe('Name of the credential, unique in the tenant'),
  type: z.string().describe('Credential type, e.g. database'),
  provider: z.string().describe('Upstream, e.g. postgresql'),
  secret: z
    .string()
    .regex(/^[A-Za-z0-9/_+=.@-]{1,512}$/, 'use the characters that Secrets Manager allows in a name')
    .describe('Name of the secret that Rekey creates and agents read'),
  admin: z
    .string()
    .min(1)
    .max(2048)
    .describe("Name or ARN of the secret with the target's administrative login"),
  target: z.record(z.string(), z.unknown()).describe('Where the credential lives; depends on the provider'),
  mode: z.enum(['observe', 'overlap', 'enforce']).optional().describe('Default: enforce'),
  policy: policy.optional(),
  holders: z
    .array(holder)
    .max(1000)
    .superRefine((holders, context) => {
      const seen = new Set<string>();
      holders.forEach(({ name }, index) => {
        if (seen.has(name)) {
          context.addIssue({
            code: 'custom',
            path: [index, 'name'],
            message: `two holders are called "${name}"`,
          });
        }
        seen.add(name);
      });
    })
    .optional()
    .describe('Who uses it; without one it is never retired'),
});

const file = z.strictObject({
  version: z.literal(DECLARATION_VERSION),
  credentials: z.array(entry).min(1).max(1000),
});

/** One entry of a declaration file, checked in form. */
export type CredentialEntry = z.infer<typeof entry>;

/** JSON Schema of the declaration file, as published in `docs/rekey.schema.json`. */
export function declarationJsonSchema(): object {
  return {
    ...z.toJSONSchema(file),
    title: 'rekey.yaml',
    description: 'Credentials that Rekey rotates. `rekey apply` registers what is here.',
  };
}

/**
 * Checks the form of a declaration file.
 * @throws RekeyError ERR_DECLARATION naming the field, e.g. `credentials[0].policy.window`.
 */
export function parseDeclaration(input: unknown): { credentials: CredentialEntry[] } {
  const parsed = file.safeParse(input);
  if (!parsed.success) throw declarationError(parsed.error, '');
  const { credentials } = parsed.data;
  assertUnique(credentials, 'name');
  assertUnique(credentials, 'secret');
  credentials.forEach((credential, index) => {
    try {
      boundsOf(credential.type);
    } catch (error) {
      throw prefixField(error, `credentials[${index}]`);
    }
  });
  return parsed.data;
}

/**
 * Checks the form of one entry, as the API receives it.
 * @throws RekeyError ERR_DECLARATION naming the field.
 */
export function parseEntry(input: unknown): CredentialEntry {
  const parsed = entry.safeParse(input);
  if (!parsed.success) throw declarationError(parsed.error, '');
  boundsOf(parsed.data.type);
  return parsed.data;
}

/** The policy of an entry with durations in seconds. */
export function policyInput(declared: CredentialEntry): PolicyInput {
  const seconds = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : durationSeconds(text);
  const { policy: given = {} } = declared;
  return {
    intervalSeconds: seconds(given.interval),
    windowSeconds: seconds(given.window),
    deadlineSeconds: seconds(given.deadline),
    capSeconds: seconds(given.cap),
    soakSeconds: seconds(given.soak),
    announceSeconds: seconds(given.announce),
    atDeadline: given.atDeadline,
    access: given.access,
    sensitivity: given.sensitivity,
    exception: given.exception,
  };
}

/** Holders of an entry with TTLs in seconds. */
export function holdersOf(declared: CredentialEntry): Holder[] {
  return (declared.holders ?? []).map(({ agents, principal, ...given }) => {
    const about = {
      name: given.name,
      ...(agents === undefined ? {} : { agents }),
      ...(principal === undefined ? {} : { principal }),
    };
    switch (given.kind) {
      case 'polling':
        return { kind: given.kind, ...about, ttlSeconds: durationSeconds(given.ttl) };
      case 'lambda': {
        const ttl = given.ttl === undefined ? {} : { ttlSeconds: durationSeconds(given.ttl) };
        return { kind: given.kind, ...about, function: given.function, ...ttl };
      }
      case 'ecs-restart':
        return { kind: given.kind, ...about, cluster: given.cluster, service: given.service };
      case 'manual':
        return { kind: given.kind, ...about };
    }
  });
}

/** Addresses that lead back into Rekey's own machine, or to the metadata of the cloud. */
const OWN_ADDRESSES = new BlockList();
OWN_ADDRESSES.addSubnet('0.0.0.0', 8, 'ipv4');
OWN_ADDRESSES.addSubnet('127.0.0.0', 8, 'ipv4');
OWN_ADDRESSES.addSubnet('169.254.0.0', 16, 'ipv4');
// With `::` and `::1` every address that only wraps one of version 4.
OWN_ADDRESSES.addSubnet('::', 96, 'ipv6');
OWN_ADDRESSES.addSubnet('::ffff:0:0:0', 96, 'ipv6');
OWN_ADDRESSES.addSubnet('64:ff9b::', 96, 'ipv6');
OWN_ADDRESSES.addSubnet('fe80::', 10, 'ipv6');
OWN_ADDRESSES.addAddress('fd00:ec2::254', 'ipv6');

/**
 * Refuses a target that no database is at, but something of Rekey's own surroundings: the administrative login would be
 * sent there. Names pass; what they resolve to is for the network's rules.
 * @throws RekeyError ERR_DECLARATION for target.host
 */
export function assertForeignHost(target: unknown): void {
  const host = (target as { host?: unknown } | undefined)?.host;
  if (typeof host !== 'string') return;
  const bare = host.replace(/\.$/, '').toLowerCase();
  const version = isIP(bare);
  const refused =
    version === 0
      ? // A last part in digits makes it an address, in one of the forms that only resolvers know.
        /(^|\.)(\d+|0x[0-9a-f]*)$/.test(bare) || /[:%]/.test(bare) || /(^|\.)localhost$/.test(bare)
      : bare.includes('%') || OWN_ADDRESSES.check(bare, version === 4 ? 'ipv4' : 'ipv6');
  if (!refused) return;
  throw new RekeyError('ERR_DECLARATION', `target.host: ${host} can't be the address of a database`, {
    field: 'target.host',
    remedy: 'declare the name of the database, or its address in the usual form',
  });
}

/** Mode of an entry. */
export function modeOf(declared: CredentialEntry): Mode {
  return declared.mode ?? 'enforce';
}

/** A zod error as ERR_DECLARATION; `prefix` is the path of the value that was checked. */
export function declarationError(error: z.ZodError, prefix: string): RekeyError {
  const [issue] = error.issues;
  const path = issue === undefined ? '' : fieldPath(issue.path);
  const unknownKeys = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : undefined;
  const field = [prefix, path].filter((part) => part !== '').join('.');
  return new RekeyError(
    'ERR_DECLARATION',
    `${field === '' ? 'the declaration' : field}: ${issue?.message ?? 'invalid'}`,
    {
      field: unknownKeys === undefined ? field : [field, unknownKeys].filter((part) => part !== '').join('.'),
      remedy:
        unknownKeys === undefined
          ? 'correct this field; docs/rekey.schema.json has every field with its meaning'
          : 'remove the unknown key or correct its spelling; docs/rekey.schema.json has every field',
    },
  );
}

/** The same error with its field below `prefix`. */
export function prefixField(error: unknown, prefix: string): unknown {
  if (!(error instanceof RekeyError)) return error;
  const field = error.field === undefined ? prefix : `${prefix}.${error.field}`;
  return new RekeyError(error.code, error.message, {
    field,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  });
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

function assertUnique(credentials: readonly CredentialEntry[], key: 'name' | 'secret'): void {
  const seen = new Map<string, number>();
  credentials.forEach((credential, index) => {
    const first = seen.get(credential[key]);
    if (first !== undefined) {
      throw new RekeyError('ERR_DECLARATION', `two entries have the ${key} "${credential[key]}"`, {
        field: `credentials[${index}].${key}`,
        remedy: `give each entry its own ${key}; the other one is credentials[${first}]`,
      });
    }
    seen.set(credential[key], index);
  });
}
