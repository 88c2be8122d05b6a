import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import {
  auditQuery,
  confirmRequest,
  emergencyRequest,
  inventoryQuery,
  leakRequest,
  listQuery,
  pauseRequest,
  reasonRequest,
  registerRequest,
  unregisterRequest,
} from '../../../shared/api/messages.ts';
import { parse } from '../../../lambdas/control-api/request.ts';
import { settingsSchema } from '../../../infra/settings-schema.ts';
import { parseDeclaration, parseEntry } from '../../../shared/domain/declaration.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { inWords } from '../../../shared/domain/wording.ts';
import { parseTarget } from '../../../shared/providers/postgresql/target.ts';

/** How the library speaks of a schema. */
const LIBRARY = /\b(Invalid|expected|received|Too small|Too big|Unrecognized|undefined|NaN)\b/;

const ENTRY = {
  name: 'orders-db',
  type: 'database',
  provider: 'postgresql',
  secret: 'agents/orders-db',
  admin: 'admin/orders-db',
  target: { host: 'db.internal', database: 'orders', ownerRole: 'orders_app', tls: { mode: 'verify-full' } },
  mode: 'enforce',
  policy: {
    interval: '30d',
    soak: '5m',
    atDeadline: 'extend',
    exception: { reason: 'r', expires: '2027-01-01' },
  },
  holders: [{ kind: 'polling', name: 'agents', ttl: '5m', agents: 3 }],
};
const SETTINGS = {
  stage: 'prod',
  logRetentionDays: 30,
  alarms: { emails: ['a@example.com'], webhooks: ['https://example.com'] },
  archiveLock: { mode: 'governance', days: 1 },
  network: {
    vpcId: 'vpc-0a1b2c3d',
    subnets: [{ id: 'subnet-0a1b2c3d', zone: 'eu-central-1a' }],
    securityGroupIds: ['sg-0a1b2c3d'],
  },
  adoptPrefixes: ['prod/'],
  reservedConcurrency: { revoke: 1 },
  timing: { planEverySeconds: 60 },
};
const WRONG: readonly unknown[] = [
  undefined,
  null,
  7,
  -1,
  1e9,
  1.5,
  true,
  '',
  'x'.repeat(5000),
  [],
  [[]],
  {},
  { x: 1 },
];

/** Copies of `value`, in each of which one thing somewhere is wrong. */
function* spoilt(value: unknown): Generator {
  yield* WRONG;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    for (const wrong of spoilt(part)) {
      if (Array.isArray(value)) yield value.with(Number(key), wrong);
      else yield { ...value, [key]: wrong };
    }
  }
  if (!Array.isArray(value)) yield { ...value, nobodyKnows: 1 };
}

/** Every message that `check` refuses a spoilt copy with. */
function messagesOf(check: (input: unknown) => unknown, value: unknown): string[] {
  return [...spoilt(value)].flatMap((input) => {
    try {
      check(input);
      return [];
    } catch (error) {
      if (error instanceof RekeyError) return [error.message, ...error.also.map(({ message }) => message)];
      throw error;
    }
  });
}

function settingsMistakes(input: unknown): void {
  const parsed = settingsSchema.safeParse(input, { error: inWords });
  const mistakes = parsed.error?.issues.map(({ message }) => message) ?? [];
  if (mistakes.length > 0) throw new RekeyError('ERR_REQUEST', mistakes.join('; '));
}

describe('a refusal of bad input is in the words of the house', () => {
  const requests: [string, z.ZodType, object][] = [
    ['an audit query', auditQuery, { from: '2026-01-01', credential: 'a', page: '2026-01' }],
    ['a confirmation', confirmRequest, { holder: 'a', reason: 'r' }],
    ['an emergency', emergencyRequest, { credentials: ['a'], incident: 'I', reason: 'r', replace: true }],
    ['an inventory query', inventoryQuery, { prefix: 'a', page: 'p' }],
    [
      'a report of a leak',
      leakRequest,
      { fingerprints: [`sha256:${'0'.repeat(64)}`], incident: 'I', reason: 'r' },
    ],
    ['a list query', listQuery, { page: 'p' }],
    ['a pause', pauseRequest, { reason: 'r' }],
    ['a reason', reasonRequest, { reason: 'r' }],
    ['a registration', registerRequest, { declaration: {}, dryRun: true }],
    ['an unregistering', unregisterRequest, { reason: 'r', dryRun: true }],
  ];
  it.each<[string, (input: unknown) => unknown, object]>([
    ['a declaration file', parseDeclaration, { version: 1, credentials: [ENTRY] }],
    ['an entry', parseEntry, ENTRY],
    ['a target', parseTarget, ENTRY.target],
    ['settings', settingsMistakes, SETTINGS],
    ...requests.map(([name, schema, good]): [string, (input: unknown) => unknown, object] => [
      name,
      (input) => parse(schema, input),
      good,
    ]),
  ])('%s', (_what, check, good) => {
    const messages = messagesOf(check, good);
    expect(messages.length).toBeGreaterThan(5);
    expect([...new Set(messages)].filter((message) => LIBRARY.test(message))).toEqual([]);
  });

  it.each<[z.ZodType, unknown, string]>([
    [z.strictObject({ a: z.string() }), {}, 'is missing; write a text'],
    [z.string(), 7, 'write a text here, not a number'],
    [z.int(), 1.5, 'write a whole number here'],
    [z.boolean(), null, 'write true or false here, not nothing'],
    [z.array(z.string()), {}, 'write a list here, not fields with values'],
    [z.enum(['read', 'write']), 'x', 'use one of read, write'],
    [z.literal(1), 2, 'write 1'],
    [z.string().min(1), '', 'must not be empty'],
    [z.string().max(3), 'secret', 'write at most 3 characters'],
    [z.array(z.string()).max(1), ['a', 'b'], 'name at most 1'],
    [z.int().min(1), 0, 'write a number of at least 1'],
    [z.strictObject({}), { a: 1 }, 'nobody knows this key; correct its spelling or remove it'],
    [z.string().regex(/^a$/, 'its own words'), 'b', 'its own words'],
  ])('%# says what to write', (schema, value, words) => {
    expect(schema.safeParse(value, { error: inWords }).error?.issues[0]?.message).toBe(words);
  });
});
