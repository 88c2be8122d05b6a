import * as z from 'zod';
import { durationSeconds } from './duration.ts';
import { RekeyError, throwAll, errorsOf } from './errors.ts';
import type { Holder } from './holders.ts';
import { declarationErrors, prefixField } from './mistakes.ts';
import { boundsOf, resolvePolicy, type Mode, type PolicyInput, type PolicyLimits } from './policy.ts';
import { inWords } from './wording.ts';

/** Version of the declaration file's format. */
export const DECLARATION_VERSION = 1;

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;

/** A duration such as `90s`, `15m`, `4h` or `30d`, in seconds. */
export const duration = z
  .string()
  .regex(/^[1-9]\d{0,6}[smhd]$/, 'write a duration as a whole number with s, m, h or d, e.g. 30m')
  .describe('A duration: a whole number with s, m, h or d, e.g. 30m');

const zeroOrDuration = z.union([z.literal('0s'), duration]);

const principal = z
  .string()
  .regex(/^arn:[a-z-]+:iam::\d{12}:(role|user)\/.{1,512}$/, 'write the ARN of an IAM role or user');

const holderFields = {
  name: z.string().min(1).max(128).describe('Name of the agent or fleet, as it shall stand in the audit'),
  agents: z.int().min(1).max(1_000_000).optional().describe('How many instances share the credential'),
  principal: principal
    .optional()
    .describe('Role or user that it reads the secret as; reads by others are shown as proposed holders'),
};
/** It stands in addresses of the agent API and in rules of the event bus. */
const agentName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'use letters, digits, dots, hyphens and underscores');
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
    z.strictObject({
      kind: z.literal('client').describe('An agent that proves by itself that it has moved (docs/agents.md)'),
      ...holderFields,
      name: agentName.describe('Name of the agent, as it calls itself at the agent API'),
      principal: principal.describe('Role or user that it runs as: nobody else may speak for it'),
      fleet: agentName.optional().describe('Agents that are told together; default: its own name'),
    }),
  ],
  { error: 'use one of the kinds polling, ecs-restart, lambda, manual, client' },
);

const policy = z.strictObject({
  interval: duration.optional().describe("Time between rotations; default: the type's maximum"),
  window: duration.optional().describe('How long old and new both work, at least twice the longest TTL'),
  deadline: duration.optional().describe('Latest regular end of the window, counted from its opening'),
  cap: duration.optional().describe('How far an extension may go, counted from the opening'),
  soak: zeroOrDuration.optional().describe('Between the suspension of the old credential and its revocation'),
  announce: zeroOrDuration.optional().describe('Notice given before a planned rotation'),
  atDeadline: z.enum(['extend', 'revoke']).optional().describe('What happens where somebody has not moved'),
  canary: z
    .strictObject({
      percent: z.int().min(1).max(99).describe('Percent of the instances that move first'),
      for: duration.describe('How long the others stay on the old one; at most half of the window'),
    })
    .optional()
    .describe('Agents of kind client: a part moves first; refusals roll the rotation back'),
  evidenceOfUse: z
    .enum(['source', 'holders'])
    .optional()
    .describe(
      'What shows that the old one is no longer used: its upstream (default), or, where that tells nothing, the holders',
    ),
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

const fields = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use lower-case letters, digits and hyphens, at most 63 characters')
    .refine((name) => !UUID.test(name), 'a name must not look like an id (a UUID)')
    .describe('Name of the credential, unique in the tenant'),
  type: z.string().describe('Credential type, e.g. database'),
  provider: z.string().describe('Upstream, e.g. postgresql'),
  secret: z
    .string()
    .regex(/^[A-Za-z0-9/_+=.@-]{1,512}$/, {
      error: ({ input }) =>
        input?.startsWith('arn:') === true
          ? 'give its name, not its ARN: Rekey rotates the secrets of its own account and region only'
          : 'use the characters that Secrets Manager allows in a name',
    })
    .describe('Name of the secret that agents read; Rekey creates it, unless it is adopted'),
  adopt: z
    .literal(true)
    .optional()
    .describe(
      'The secret and the login in it exist already and are kept; nothing changes until the first rotation',
    ),
  admin: z
    .string()
    .min(1)
    .max(2048)
    .optional()
    .describe(
      "Name or ARN of the secret with the target's administrative login; an adopted secret in mode observe needs none, nor do providers that act under Rekey's own role",
    ),
  target: z.record(z.string(), z.unknown()).describe('Where the credential lives; depends on the provider'),
  mode: z
    .enum(['observe', 'overlap', 'enforce'])
    .optional()
    .describe('Default: enforce; observe where adopt is true'),
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
  credentials: z.array(fields).min(1).max(1000),
});

/** What surrounds the entries; each of them is checked by itself, so that one mistake hides no other. */
const frame = z.strictObject({ ...file.shape, credentials: z.array(z.unknown()).min(1).max(1000) });

/** As much of an entry as its policy follows from. */
const policyPart = z.object(fields.shape).pick({ type: true, policy: true, holders: true });

/** One entry of a declaration file, checked in form. */
export type CredentialEntry = z.infer<typeof fields>;

/** JSON Schema of the declaration file, as published in `docs/rekey.schema.json`. */
export function declarationJsonSchema(): object {
  return {
    ...z.toJSONSchema(file),
    title: 'rekey.yaml',
    description: 'Credentials that Rekey rotates. `rekey apply` registers what is here.',
  };
}

/** The day and the limits that policies are checked against, where they are. */
export interface PolicyCheck {
  readonly now: number;
  readonly limits: PolicyLimits;
}

/**
 * Checks a declaration file: its form, and its policies where `check` says against what.
 * @throws RekeyError naming the field, e.g. `credentials[0].policy.window`; its `also` has every further mistake.
 */
export function parseDeclaration(input: unknown, check?: PolicyCheck): { credentials: CredentialEntry[] } {
  const parsed = frame.safeParse(input, { error: inWords });
  const found = parsed.success ? [] : declarationErrors(parsed.error);
  const credentials: CredentialEntry[] = [];
  const duplicates = [firstUse('name'), firstUse('secret')];
  entriesOf(input).forEach((raw, index) => {
    const mistakes = errorsOf(
      () => credentials.push(parseEntry(raw, check)),
      ...duplicates.map((assertFirst) => () => assertFirst(raw, index)),
    );
    found.push(...mistakes.map((mistake) => prefixField(mistake, `credentials[${index}]`)));
  });
  throwAll(found);
  return { credentials };
}

/**
 * Checks one entry, as the API receives it: its form, and its policy where `check` says against what.
 * @throws RekeyError naming the field; its `also` has every further mistake.
 */
export function parseEntry(input: unknown, check?: PolicyCheck): CredentialEntry {
  const parsed = fields.safeParse(input, { error: inWords });
  const { data: part } = policyPart.safeParse(input);
  const { data: typed } = z.object({ type: fields.shape.type }).safeParse(input);
  const unknownType = typed === undefined ? [] : errorsOf(() => boundsOf(typed.type));
  const { now, limits } = check ?? {};
  throwAll([
    ...(parsed.success ? [] : declarationErrors(parsed.error)),
    ...unknownType,
    ...(part === undefined || unknownType.length > 0 || now === undefined
      ? []
      : errorsOf(() => resolvePolicy(part.type, policyInput(part), holdersOf(part), now, limits))),
  ]);
  return fields.parse(input);
}

/** The policy of an entry with durations in seconds. */
export function policyInput(declared: Pick<CredentialEntry, 'policy'>): PolicyInput {
  const seconds = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : durationSeconds(text);
  const { policy: given = {} } = declared;
  return {
    intervalSeconds: seconds(given.interval),
    windowSeconds: seconds(given.window),
    deadlineSeconds: seconds(given.deadline),
    capSeconds: seconds(given.cap),
    soakSeconds: seconds(given.soak),
    evidenceOfUse: given.evidenceOfUse,
    announceSeconds: seconds(given.announce),
    atDeadline: given.atDeadline,
    access: given.access,
    sensitivity: given.sensitivity,
    exception: given.exception,
    canary: given.canary && { percent: given.canary.percent, seconds: durationSeconds(given.canary.for) },
  };
}

/** Holders of an entry with TTLs in seconds. */
export function holdersOf(declared: Pick<CredentialEntry, 'holders'>): Holder[] {
  return (declared.holders ?? []).map((given) => {
    const { agents, principal: readsAs } = given;
    const about = {
      name: given.name,
      ...(agents === undefined ? {} : { agents }),
      ...(readsAs === undefined ? {} : { principal: readsAs }),
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
      case 'client': {
        const fleet = given.fleet === undefined ? {} : { fleet: given.fleet };
        return { kind: given.kind, ...about, principal: given.principal, ...fleet };
      }
    }
  });
}

/** Mode of an entry. */
export function modeOf(declared: CredentialEntry): Mode {
  return declared.mode ?? (declared.adopt === true ? 'observe' : 'enforce');
}

function entriesOf(input: unknown): unknown[] {
  if (typeof input !== 'object' || input === null || !('credentials' in input)) return [];
  return Array.isArray(input.credentials) ? input.credentials : [];
}

/** Refuses the second entry with the same value under `key`. */
function firstUse(key: 'name' | 'secret'): (raw: unknown, index: number) => void {
  const seen = new Map<string, number>();
  return (raw, index) => {
    const { data } = z.record(z.string(), z.unknown()).safeParse(raw);
    const value = data?.[key];
    if (typeof value !== 'string') return;
    const first = seen.get(value);
    if (first === undefined) {
      seen.set(value, index);
      return;
    }
    throw new RekeyError('ERR_DECLARATION', `two entries have the ${key} "${value}"`, {
      field: key,
      remedy: `give each entry its own ${key}; the other one is credentials[${first}]`,
    });
  };
}
