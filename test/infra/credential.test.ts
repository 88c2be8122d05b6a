import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Aws, CfnWaitConditionHandle, Fn, Stack, Stage } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { afterAll, describe, expect, it } from 'vitest';
import { OrdersStack } from '../../examples/cdk-credential/stack.ts';
import { RekeyCredential, type RekeyCredentialProps } from '../../infra/constructs/rekey-credential.ts';
import { parseDeclaration } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { CREDENTIAL_OUTPUT } from '../../shared/names.ts';
import { at, readJson, type Json, type JsonObject } from './app.ts';

const ENTRY: RekeyCredentialProps = {
  name: 'orders-db',
  type: 'database',
  provider: 'postgresql',
  secret: 'agents/orders-db',
  admin: 'admin/orders-db',
  target: { host: 'db.internal', database: 'orders', ownerRole: 'orders_app' },
  policy: { window: '30m' },
  holders: [{ kind: 'polling', name: 'agents', ttl: '15m' }],
};

const folder = mkdtempSync(join(tmpdir(), 'rekey-credential-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A stack of some team in an app of its own. */
function team(scope: Construct = new App({ outdir: mkdtempSync(join(folder, 'out-')) })): Stack {
  const stack = new Stack(scope, 'Team');
  new CfnWaitConditionHandle(stack, 'Own');
  return stack;
}

function templateOf(stack: Stack): { Resources?: JsonObject; Outputs?: JsonObject } {
  const app = stack.node.root;
  if (!(app instanceof App)) throw new Error('a stack of a test is in an app');
  return readJson(app.synth().getStackByName(stack.stackName).templateFullPath);
}

/** The one declaration that a template emits, with what AWS fills in replaced. */
function emitted(outputs: JsonObject | undefined, values: Record<string, string> = {}): unknown {
  const [[key, output] = ['', null], ...others] = Object.entries(outputs ?? {});
  expect(others).toEqual([]);
  expect(key.startsWith(CREDENTIAL_OUTPUT)).toBe(true);
  return JSON.parse(resolved(at(output, 'Value'), values));
}

function resolved(value: Json | undefined, values: Record<string, string>): string {
  if (typeof value === 'string') return value;
  const parts = at(value, 'Fn::Join', '1');
  if (Array.isArray(parts)) return parts.map((part) => resolved(part, values)).join('');
  const known = Object.entries(values).find(([name]) => JSON.stringify(value).includes(name));
  if (known === undefined) throw new Error(`the test has no value for ${JSON.stringify(value)}`);
  return known[1];
}

/** The mistake that a declaration is refused with. */
function mistake(work: () => unknown): RekeyError {
  try {
    work();
  } catch (error) {
    if (error instanceof RekeyError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('RekeyCredential', () => {
  it('emits the entry as a declaration file, and makes no resource', () => {
    const stack = team();
    new RekeyCredential(stack, 'Orders', ENTRY);
    const { Resources, Outputs } = templateOf(stack);
    expect(Object.keys(Resources ?? {})).toEqual(['Own']);
    expect(emitted(Outputs)).toEqual({ version: 1, credentials: [ENTRY] });
  });

  it('the worked example becomes a valid declaration once AWS has filled in its values', () => {
    const stack = new OrdersStack(new App({ outdir: mkdtempSync(join(folder, 'out-')) }), 'Orders');
    const values = {
      'Endpoint.Address': 'orders.cluster-abc.eu-central-1.rds.amazonaws.com',
      'Endpoint.Port': '5432',
      RekeyAdmin: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin/orders-db-AbCdEf',
    };
    const { credentials } = parseDeclaration(emitted(templateOf(stack).Outputs, values));
    expect(credentials).toMatchObject([
      {
        name: 'orders-db',
        admin: values.RekeyAdmin,
        target: { host: values['Endpoint.Address'], port: 5432 },
      },
    ]);
  });

  it.each<[string, object, string]>([
    ['an unknown field', { nmae: 'x' }, 'nmae'],
    ['a name with capitals', { name: 'Orders' }, 'name'],
    ['an unknown type', { type: 'database2' }, 'type'],
    ['a window under twice the longest ttl', { policy: { window: '20m' } }, 'policy.window'],
    ['a holder without its ttl', { holders: [{ kind: 'polling', name: 'agents' }] }, 'holders[0].ttl'],
  ])('%s is refused at synthesis as rekey apply would', (_what, change, field) => {
    const stack = team();
    const error = mistake(() => new RekeyCredential(stack, 'Orders', { ...ENTRY, ...change }));
    expect(error.field).toBe(field);
    expect(error.remedy).toBeDefined();
    expect(error.message).toContain(`${error.code}: Team/Orders can't be declared:`);
  });

  it('says everything that is wrong, each with what to do, since CDK prints nothing but the message', () => {
    const stack = team();
    const { message } = mistake(
      () => new RekeyCredential(stack, 'Orders', { ...ENTRY, name: 'Orders', policy: { window: '20m' } }),
    );
    expect(message.split('\n  - ')).toEqual([
      "ERR_DECLARATION: Team/Orders can't be declared:",
      expect.stringMatching(/^name: use lower-case .*; .+/),
      expect.stringMatching(/^policy\.window: .*; .+/),
    ]);
  });

  it('a host of the function itself is refused, one that only the deployment knows is not', () => {
    const stack = team();
    const withHost = (host: string): RekeyCredentialProps => ({
      ...ENTRY,
      target: { ...ENTRY.target, host },
    });
    expect(mistake(() => new RekeyCredential(stack, 'Own1', withHost('169.254.169.254'))).field).toBe(
      'target.host',
    );
    expect(() => new RekeyCredential(stack, 'Orders', withHost(Fn.importValue('Host')))).not.toThrow();
  });

  it.each<[string, Partial<RekeyCredentialProps>]>([
    ['secret', { secret: `agents/${Aws.ACCOUNT_ID}` }],
    ['name', { name: Fn.ref('Name') }],
    ['holders', { holders: [{ kind: 'polling', name: Aws.STACK_NAME, ttl: '15m' }] }],
  ])('a %s that only the deployment knows is refused by its field', (field, change) => {
    const stack = team();
    const error = mistake(() => new RekeyCredential(stack, 'Orders', { ...ENTRY, ...change }));
    expect([error.code, error.field, error.remedy]).toEqual([
      'ERR_DECLARATION',
      field,
      'write it as text; only target and admin take values of the stack',
    ]);
  });

  it.each(['name', 'secret'] as const)('two of the same %s in an app are refused', (key) => {
    const stack = team();
    const other = { ...ENTRY, name: 'other', secret: 'agents/other', [key]: ENTRY[key] };
    new RekeyCredential(stack, 'One', ENTRY);
    expect(mistake(() => new RekeyCredential(stack, 'Two', other))).toMatchObject({ field: key });
  });

  it('the same stack may stand in two stages of a pipeline', () => {
    const app = new App({ outdir: mkdtempSync(join(folder, 'out-')) });
    for (const name of ['Test', 'Prod']) {
      new RekeyCredential(team(new Stage(app, name)), 'Orders', ENTRY);
    }
    expect(() => app.synth()).not.toThrow();
  });
});
