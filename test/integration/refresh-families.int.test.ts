import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { Request } from '../../lambdas/refresh-families/requests.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { Family } from '../../shared/domain/families.ts';
import { ENV, FAMILY_TYPE, TAG } from '../../shared/names.ts';
import { resource, synthesise } from '../infra/app.ts';
import { Policies } from '../support/iam/policies.ts';
import { CLIENT, OidcServer } from '../support/oidc.ts';
import { startTable } from '../support/table.ts';

/** The function itself, with the environment that infra gives it, on the local stack and at a real server. */
const FUNCTION = 'refresh-families';
const TRIGGER = { kind: 'operator', actor: 'arn:operator', reason: 'r' } as const;
const REDIRECT = 'http://127.0.0.1:4711/callback';
const SECRET = 'oauth/tools';

let stack: LocalStack;
let aws: AwsCalls;
let oidc: OidcServer;
let handler: (request: Request) => Promise<object>;
const keys = { data: '', secrets: '' };

beforeAll(async () => {
  ({ stack, aws } = await startTable('test'));
  oidc = await OidcServer.start();
  const key = async (): Promise<string> =>
    (await aws.json<{ KeyMetadata: { KeyId: string } }>('kms', 'CreateKey', {})).KeyMetadata.KeyId;
  Object.assign(keys, { data: await key(), secrets: await key() });
  await aws.json('secretsmanager', 'CreateSecret', {
    Name: SECRET,
    SecretString: JSON.stringify({ client_secret: CLIENT.client_secret }),
    Tags: [{ Key: TAG.admin, Value: FAMILY_TYPE }],
  });
  const { accessKeyId, secretAccessKey } = stack.clientConfig.credentials;
  const arn = (id: string): string => `arn:aws:kms:${stack.region}:${stack.accountId}:key/${id}`;
  Object.assign(process.env, {
    REKEY_FUNCTION: FUNCTION,
    AWS_ENDPOINT_URL: stack.endpoint,
    AWS_REGION: stack.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    [ENV.stage]: 'dev',
    [ENV.tenant]: 'default',
    [ENV.account]: stack.accountId,
    [ENV.table]: 'ledger',
    [ENV.bus]: 'default',
    [ENV.secretPrefix]: 'agents/',
    [ENV.secretsKey]: arn(keys.secrets),
    [ENV.sealingKey]: arn(keys.data),
    [ENV.privateUpstreams]: '127.0.0.1',
  });
  ({ handler } = await import('../../lambdas/refresh-families/handler.ts'));
});
afterAll(async () => {
  await oidc[Symbol.asyncDispose]();
  await stack.stop();
});

const declaration = (name: string) => ({
  name,
  owner: 'tools team',
  server: { issuer: oidc.issuer },
  client: { id: CLIENT.client_id, secret: SECRET },
  scopes: ['tools:read'],
  refresh: { grace: '60s' },
  holders: [{ kind: 'polling' as const, name: 'tool-agents', ttl: '1m' }],
});
const asked = async (request: Request) => (await handler(request)) as { family: Family; error?: object };

async function consent(name: string) {
  const codeVerifier = randomBytes(32).toString('base64url');
  const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
  const request = { redirectUri: REDIRECT, state: 'state', codeChallenge };
  const { address } = (await handler({ action: 'ask-for-consent', name, request })) as {
    address: { url: string };
  };
  const back = new URL(await oidc.consent(address.url)).searchParams;
  return { code: back.get('code') ?? '', codeVerifier, redirectUri: REDIRECT };
}

describe('the coordinator as a function', () => {
  test('leads a family through its life, and makes no call that its role doesn’t allow', async () => {
    const name = `tools-${randomUUID().slice(0, 8)}`;
    const before = stack.gateway.recorder.calls().at(-1)?.seq ?? 0;
    const applied = await handler({
      action: 'apply',
      declaration: declaration(name),
      trigger: TRIGGER,
      dryRun: false,
    });
    expect(applied).toMatchObject({
      outcome: 'registered',
      family: { status: 'consent-needed', provisioned: true },
    });
    const connected = await asked({
      action: 'connect',
      name,
      trigger: TRIGGER,
      consent: await consent(name),
    });
    expect(connected.family).toMatchObject({ status: 'active' });
    const { secretName } = connected.family;
    const token = async (): Promise<string> => {
      const { SecretString } = await aws.json<{ SecretString: string }>('secretsmanager', 'GetSecretValue', {
        SecretId: secretName,
      });
      return (JSON.parse(SecretString) as { access_token?: string }).access_token ?? '';
    };
    expect(await oidc.isLive(await token())).toBe(true);
    expect(await handler({})).toMatchObject({ refreshed: [], failed: [], left: 0 });
    const refreshed = await asked({ action: 'refresh', name, trigger: TRIGGER });
    expect(refreshed.family.tokens?.versionId).not.toBe(connected.family.tokens?.versionId);
    const { checks } = (await handler({ action: 'diagnose', name })) as { checks: { state: string }[] };
    expect(checks.map(({ state }) => state)).not.toContain('fail');
    await handler({ action: 'pause', name, trigger: TRIGGER });
    expect(await asked({ action: 'refresh', name, trigger: TRIGGER })).toMatchObject({
      error: { code: 'ERR_PAUSED' },
    });
    await handler({ action: 'unpause', name, trigger: TRIGGER });
    const leaked = await token();
    const revoked = await asked({ action: 'revoke', name, incidentId: 'INC-7', trigger: TRIGGER });
    expect(revoked.family).toMatchObject({ status: 'consent-needed', incident: { outcome: 'revoked' } });
    expect([await oidc.isLive(leaked), await token()]).toEqual([false, '']);
    await handler({ action: 'unregister', name, trigger: TRIGGER, dryRun: false });
    expect(await asked({ action: 'refresh', name, trigger: TRIGGER })).toMatchObject({
      error: { code: 'ERR_NOT_FOUND' },
    });

    const stacks = synthesise({ settings: { types: ['database'], families: true } });
    const named = (logicalId: string): string => resource(stacks, 'state', logicalId).logicalId;
    const policies = new Policies(stacks, {
      'rekey-dev-state': {
        [named('Ledger')]: 'ledger',
        [named('DataKey')]: keys.data,
        [named('SecretsKey')]: keys.secrets,
      },
    });
    const role = policies.role(FUNCTION);
    const denied = new Set<string>();
    const seen = new Set<string>();
    for (const call of stack.gateway.recorder.calls()) {
      if (call.seq <= before || call.function !== FUNCTION) continue;
      seen.add(call.operation);
      expect(call.asks, call.operation).toBeDefined();
      for (const asks of call.asks ?? []) {
        // The bus of this test is the account's own.
        if (asks.action === 'events:PutEvents') continue;
        const { allowed } = await policies.decide(role, asks);
        if (!allowed) denied.add(JSON.stringify(asks));
      }
    }
    expect([...denied]).toEqual([]);
    expect([...seen]).toEqual(
      expect.arrayContaining(['CreateSecret', 'PutSecretValue', 'TransactWriteItems', 'PutEvents']),
    );
  });

  test('answers what it refuses, and logs no code', async () => {
    const lines: string[] = [];
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = (chunk: string | Uint8Array) => lines.push(String(chunk)) > 0;
    try {
      const given = { code: 'a-stolen-code', codeVerifier: 'v'.repeat(43), redirectUri: REDIRECT };
      const answer = await asked({ action: 'connect', name: 'nobody', trigger: TRIGGER, consent: given });
      expect(answer).toMatchObject({ error: { code: 'ERR_NOT_FOUND' } });
    } finally {
      process.stdout.write = write;
    }
    expect(lines.join('')).not.toMatch(/a-stolen-code|vvvvv/);
  });
});
