import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { Redacted } from '../../shared/domain/redacted.ts';

let stack: LocalStack;
let vault: SecretsManagerVault;

const FUNCTION = 'arn:aws:lambda:eu-central-1:111122223333:function:steps:live';
const steps: string[] = [];

beforeAll(async () => {
  stack = await startLocalStack({ retry: { attempts: 1 } });
  vault = new SecretsManagerVault(
    new AwsCalls({
      region: stack.region,
      endpoint: stack.endpoint,
      credentials: stack.clientConfig.credentials,
      caller: 'vault-test',
    }),
  );
  stack.gateway.functions.set(FUNCTION, async ({ Step }) => void steps.push(Step));
});
afterAll(async () => {
  await stack.stop();
});
beforeEach(() => {
  stack.gateway.faults.clear();
  steps.length = 0;
});

const text = (value: string): Redacted<string> => new Redacted(value);

async function secret(): Promise<{ name: string; first: string }> {
  const name = `agents/${randomUUID()}`;
  const first = randomUUID();
  const input = { name, token: first, text: text('one'), description: 'd', tags: { a: 'b' } };
  expect(await vault.create(input)).toMatchObject({ outcome: 'created' });
  return { name, first };
}

const labels = async (name: string) => (await vault.describe(name))?.versions;

describe('looking at a secret', () => {
  test('a secret that is not there is absent', async () => {
    expect(await vault.describe('nobody')).toBeUndefined();
    expect(await vault.read('nobody', { stage: 'AWSCURRENT' })).toBeUndefined();
  });

  test('a secret shows stages and tags, and never a value', async () => {
    const { name, first } = await secret();
    const described = await vault.describe(name);
    expect(described).toMatchObject({
      name,
      rotationEnabled: false,
      versions: { [first]: ['AWSCURRENT'] },
      tags: { a: 'b' },
    });
    expect(JSON.stringify(described)).not.toContain('one');
  });

  test('a version under a stage that it does not carry is absent; the version alone is there', async () => {
    const { name, first } = await secret();
    expect(await vault.read(name, { versionId: first, stage: 'AWSPENDING' })).toBeUndefined();
    expect((await vault.read(name, { versionId: first }))?.reveal()).toBe('one');
    expect(await vault.read(name, { versionId: randomUUID() })).toBeUndefined();
    expect(await vault.read(name, { stage: 'AWSPENDING' })).toBeUndefined();
  });

  test('a version tells when it was stored, whatever came after it', async () => {
    const { name, first } = await secret();
    const storedAt = (await vault.readVersion(name, { versionId: first }))?.storedAt ?? '';
    expect(Math.abs(Date.parse(storedAt) - Date.now())).toBeLessThan(60_000);
    await vault.put(name, randomUUID(), text('two'), 'AWSPENDING');
    expect(await vault.readVersion(name, { versionId: first })).toMatchObject({ storedAt });
  });

  test('trap: throttling and server errors never mean absent', async () => {
    const { name } = await secret();
    for (const action of [{ kind: 'throttle' }, { kind: 'error', status: 500 }, { kind: 'drop' }] as const) {
      const stop = stack.gateway.faults.add({ match: { service: 'secretsmanager' }, action });
      await expect(vault.describe(name)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
      await expect(vault.read(name, { stage: 'AWSCURRENT' })).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
      });
      stop();
    }
    expect((await vault.read(name, { stage: 'AWSCURRENT' }))?.reveal()).toBe('one');
  });
});

describe('create', () => {
  test('again with the same token and text is success', async () => {
    const name = `agents/${randomUUID()}`;
    const input = { name, token: randomUUID(), text: text('x'), description: '', tags: {} };
    const first = await vault.create(input);
    expect(await vault.create(input)).toEqual(first);
  });

  test('of a name that is taken answers exists and changes nothing', async () => {
    const { name } = await secret();
    const answer = await vault.create({
      name,
      token: randomUUID(),
      text: text('x'),
      description: '',
      tags: {},
    });
    expect(answer).toEqual({ outcome: 'exists' });
    expect((await vault.read(name, { stage: 'AWSCURRENT' }))?.reveal()).toBe('one');
  });

  test('whose answer is lost is found by its repetition', async () => {
    const name = `agents/${randomUUID()}`;
    const token = randomUUID();
    stack.gateway.faults.add({
      match: { operation: 'CreateSecret' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    expect(await vault.create({ name, token, text: text('x'), description: '', tags: {} })).toMatchObject({
      outcome: 'created',
    });
    expect(await labels(name)).toEqual({ [token]: ['AWSCURRENT'] });
  });

  test('is undone by discard, twice as once', async () => {
    const { name } = await secret();
    await vault.discard(name);
    await vault.discard(name);
    expect(await vault.describe(name)).toBeUndefined();
  });
});

describe('put', () => {
  test('stores under the token and its stage', async () => {
    const { name, first } = await secret();
    const token = randomUUID();
    expect(await vault.put(name, token, text('two'), 'AWSPENDING')).toBe('stored');
    expect(await labels(name)).toEqual({ [first]: ['AWSCURRENT'], [token]: ['AWSPENDING'] });
  });

  test('trap: the same token with the same text is stored, with another it exists', async () => {
    const { name } = await secret();
    const token = randomUUID();
    await vault.put(name, token, text('two'), 'AWSPENDING');
    expect(await vault.put(name, token, text('two'), 'AWSPENDING')).toBe('stored');
    expect(await vault.put(name, token, text('three'), 'AWSPENDING')).toBe('exists');
    expect((await vault.read(name, { versionId: token, stage: 'AWSPENDING' }))?.reveal()).toBe('two');
  });

  test('whose answer is lost is the same put when repeated', async () => {
    const { name } = await secret();
    stack.gateway.faults.add({
      match: { operation: 'PutSecretValue' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    expect(await vault.put(name, randomUUID(), text('two'), 'AWSPENDING')).toBe('stored');
  });
});

describe('promote', () => {
  async function pending(): Promise<{ name: string; first: string; next: string }> {
    const { name, first } = await secret();
    const next = randomUUID();
    await vault.put(name, next, text('two'), 'AWSPENDING');
    return { name, first, next };
  }

  test('moves AWSCURRENT; a second time is success', async () => {
    const { name, first, next } = await pending();
    await vault.promote(name, { to: next, from: first });
    await vault.promote(name, { to: next, from: first });
    await vault.promote(name, { to: next, from: next });
    expect((await labels(name))?.[next]).toContain('AWSCURRENT');
    expect((await labels(name))?.[first]).toEqual(['AWSPREVIOUS']);
  });

  test('hard decision 3: refuses to move it from where it is not any more', async () => {
    const { name, first, next } = await pending();
    const replacement = randomUUID();
    await vault.put(name, replacement, text('of an emergency'), 'AWSPENDING');
    await vault.promote(name, { to: replacement, from: first });
    await expect(vault.promote(name, { to: next, from: first })).rejects.toThrow();
    expect((await labels(name))?.[replacement]).toContain('AWSCURRENT');
  });

  test('by two at once: both succeed', async () => {
    const { name, first, next } = await pending();
    await Promise.all([1, 2, 3].map(() => vault.promote(name, { to: next, from: first })));
    expect((await labels(name))?.[next]).toContain('AWSCURRENT');
  });

  test('whose answer is lost succeeds', async () => {
    const { name, first, next } = await pending();
    stack.gateway.faults.add({
      match: { operation: 'UpdateSecretVersionStage' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    await vault.promote(name, { to: next, from: first });
    expect((await labels(name))?.[next]).toContain('AWSCURRENT');
  });
});

describe('stripPending', () => {
  test('takes the label off, once, twice, at once, and where it never was', async () => {
    const { name, first } = await secret();
    const token = randomUUID();
    await vault.put(name, token, text('two'), 'AWSPENDING');
    await Promise.all([vault.stripPending(name, token), vault.stripPending(name, token)]);
    await vault.stripPending(name, token);
    await vault.stripPending(name, first);
    await vault.stripPending(name, randomUUID());
    expect((await labels(name))?.[token] ?? []).toEqual([]);
    expect((await labels(name))?.[first]).toEqual(['AWSCURRENT']);
  });

  test('leaves AWSCURRENT on the same version', async () => {
    const { name, first } = await secret();
    const token = randomUUID();
    await vault.put(name, token, text('two'), 'AWSPENDING');
    await vault.promote(name, { to: token, from: first });
    await vault.stripPending(name, token);
    expect((await labels(name))?.[token]).toEqual(['AWSCURRENT']);
  });
});

describe('rotation', () => {
  test('is configured without rotating: only testSecret runs', async () => {
    const { name, first } = await secret();
    await vault.configureRotation(name, FUNCTION, 29);
    await stack.gateway.secrets.idle();
    expect(steps).toEqual(['testSecret']);
    expect(await vault.describe(name)).toMatchObject({
      rotationEnabled: true,
      versions: { [first]: ['AWSCURRENT'] },
    });
  });

  test('starts under the token with an empty pending version; the same token joins', async () => {
    const { name } = await secret();
    await vault.configureRotation(name, FUNCTION, 29);
    await stack.gateway.secrets.idle();
    const token = randomUUID();
    await vault.rotate(name, token);
    await vault.rotate(name, token);
    await stack.gateway.secrets.idle();
    expect((await labels(name))?.[token]).toEqual(['AWSPENDING']);
    expect(await vault.read(name, { versionId: token, stage: 'AWSPENDING' })).toBeUndefined();
    await expect(vault.rotate(name, randomUUID())).rejects.toMatchObject({ name: 'InvalidRequestException' });
    await stack.gateway.secrets.idle();
  });
});
