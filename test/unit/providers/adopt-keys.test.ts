import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { isRekeyError, type RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { anthropicProvider } from '../../../shared/providers/anthropic/provider.ts';
import { nameOf } from '../../../shared/providers/http/mark.ts';
import { parseKey, serializeKey } from '../../../shared/providers/http/material.ts';
import { openaiProvider } from '../../../shared/providers/openai/provider.ts';
import { pineconeProvider } from '../../../shared/providers/pinecone/provider.ts';
import type { CredentialProvider } from '../../../shared/providers/provider.ts';
import { FakeAnthropic } from '../../fakes/anthropic.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';
import { FakePinecone } from '../../fakes/pinecone.ts';

const TOKEN = '00000000-0000-4000-8000-000000000001';

async function refusalOf(action: () => Promise<unknown>): Promise<RekeyError> {
  try {
    await action();
  } catch (error) {
    if (isRekeyError(error)) return error;
    throw error;
  }
  throw new Error('expected a refusal, and there was none');
}

/** What identifies, marks and releases the text of a secret at one upstream. */
function taker<T, M>(provider: CredentialProvider<T, M>, target: T, admin: object) {
  const { adoption } = provider;
  if (adoption === undefined) throw new Error('it adopts nothing');
  const ctx = {
    clock: Date.now,
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 2000 },
    admin: async () => Promise.resolve(new Redacted(JSON.stringify(admin))),
  };
  const material = (text: string) => provider.material(new Redacted(text));
  const handleOf = (id: string) => ({ id, generation: 1, token: TOKEN });
  return {
    identify: async (text: string) => adoption.identify(target, material(text), ctx),
    adopt: async (id: string, text: string) =>
      adoption.adopt(target, TOKEN, { handle: handleOf(id), material: material(text) }, ctx),
    release: async (id: string) => adoption.release(target, TOKEN, handleOf(id), ctx),
    dependencies: async () => adoption.dependencies(target, ctx),
    list: async () => provider.list?.(target, ctx),
  };
}

describe('a key of OpenAI that a person made', () => {
  let fake: FakeOpenAi;
  beforeEach(async () => {
    fake = await FakeOpenAi.start();
  });
  afterEach(async () => fake[Symbol.asyncDispose]());

  const add = (name = 'made by hand', account = 'sa_1') =>
    fake.keys.add(`proj_1/${account}`, name, 'sk-svcacct-');
  const at = (more: object = {}) => {
    const baseUrl = `${fake.server.url}/v1`;
    const declared = { project: 'proj_1', serviceAccount: 'sa_1', label: 'orders', baseUrl, ...more };
    return taker(openaiProvider, openaiProvider.target(declared), { adminKey: fake.adminKey, baseUrl });
  };

  it('is found by what the upstream shows of it, as bare text and among fields of other names', async () => {
    const { id, value } = add();
    add('another');
    expect(await at().identify(value)).toBe(id);
    expect(await at().identify(JSON.stringify({ OPENAI_API_KEY: value, org: 'ours' }))).toBe(id);
  });

  it('is refused where it is of another service account, even if it would work', async () => {
    add();
    const { value } = add('theirs', 'sa_2');
    const error = await refusalOf(async () => at().identify(value));
    expect(error).toMatchObject({ code: 'ERR_ADOPTION', field: 'secret' });
    expect(error.message).not.toContain(value);
  });

  it('is refused where two look alike, until its id is declared', async () => {
    const { id, value } = add();
    const twin = fake.keys.add('proj_1/sa_1', 'twin', 'sk-svcacct-');
    fake.keys.all.set(twin.id, { ...twin, value: `${value.slice(0, -8)}####${value.slice(-4)}` });
    const error = await refusalOf(async () => at().identify(value));
    expect(error).toMatchObject({ code: 'ERR_ADOPTION', field: 'target.keyId' });
    expect(await at({ keyId: id }).identify(value)).toBe(id);
  });

  it('is not taken for the key whose id is declared, where what the upstream shows of that one says no', async () => {
    const { value } = add();
    const other = add('other');
    const error = await refusalOf(async () => at({ keyId: other.id }).identify(value));
    expect(error).toMatchObject({ code: 'ERR_ADOPTION', field: 'target.keyId' });
    const gone = await refusalOf(async () => at({ keyId: 'key_unknown' }).identify(value));
    expect(gone).toMatchObject({ code: 'ERR_ADOPTION', field: 'target.keyId' });
  });

  it('is refused where the secret names one id and the declaration another', async () => {
    const { id, value } = add();
    const text = JSON.stringify({ apiKeyId: 'key_other', apiKey: value });
    const error = await refusalOf(async () => at({ keyId: id }).identify(text));
    expect(error).toMatchObject({ code: 'ERR_MATERIAL_MISMATCH', field: 'apiKeyId' });
  });

  it('is refused where another credential of Rekey has it', async () => {
    const { value } = add(nameOf({ label: 'payments', generation: 1, token: TOKEN }));
    const error = await refusalOf(async () => at().identify(value));
    expect(error.message).toContain('payments');
  });

  it('keeps its name: nothing is written for it or its release', async () => {
    const { id, value } = add();
    await at().adopt(id, value);
    await at().release(id);
    expect(fake.keys.all.get(id)?.name).toBe('made by hand');
    expect(fake.server.asked.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('has no room to rotate where two keys of an earlier life of the label are left', async () => {
    for (const generation of [1, 2]) add(nameOf({ label: 'orders', generation, token: randomUUID() }));
    expect(await at().dependencies()).toMatchObject([{ severity: 'blocks' }]);
  });
});

describe('a key of Anthropic that a person made', () => {
  it('gets the mark before its name, is listed by it, and has its name again after a release', async () => {
    await using fake = await FakeAnthropic.start();
    const { id, value } = fake.mint('wrkspc_1', 'Support bot; production');
    const baseUrl = `${fake.server.url}/v1`;
    const target = anthropicProvider.target({ workspace: 'wrkspc_1', label: 'orders', baseUrl });
    const secret = taker(anthropicProvider, target, { ...fake.admin(), baseUrl });
    expect(await secret.identify(value)).toBe(id);
    for (let twice = 0; twice < 2; twice++) await secret.adopt(id, value);
    expect(fake.keys.all.get(id)?.name).toBe(`rekey.orders.1.${TOKEN}; was Support bot; production`);
    expect(await secret.list()).toMatchObject([{ id, generation: 1, token: TOKEN }]);
    for (let twice = 0; twice < 2; twice++) await secret.release(id);
    expect(fake.keys.all.get(id)?.name).toBe('Support bot; production');
  });
});

describe('a key of Pinecone that a person made', () => {
  let fake: FakePinecone;
  const project = randomUUID();
  beforeEach(async () => {
    fake = await FakePinecone.start();
  });
  afterEach(async () => fake[Symbol.asyncDispose]());

  const at = (more: object = {}) => {
    const baseUrl = fake.server.url;
    const roles = ['DataPlaneViewer'];
    const target = pineconeProvider.target({ project, roles, label: 'orders', baseUrl, ...more });
    const { clientId, clientSecret, login } = fake;
    return taker(pineconeProvider, target, { clientId, clientSecret, loginUrl: login.url, baseUrl });
  };

  it('is never guessed, though it is the only one: its id must be declared', async () => {
    const { id, value } = fake.add(project, 'by hand', ['DataPlaneViewer']);
    const error = await refusalOf(async () => at().identify(value));
    expect(error).toMatchObject({
      code: 'ERR_ADOPTION',
      field: 'target.keyId',
      remedy: expect.stringContaining('keyId'),
    });
    expect(await at({ keyId: id }).identify(value)).toBe(id);
  });

  it('is refused where it may do something else than the target declares', async () => {
    const { id, value } = fake.add(project, 'by hand');
    const error = await refusalOf(async () => at({ keyId: id }).identify(value));
    expect(error.message).toContain('[ProjectEditor], the target declares [DataPlaneViewer]');
  });

  it('keeps a name beside which the mark has no room', async () => {
    const name = 'x'.repeat(80);
    const { id, value } = fake.add(project, name, ['DataPlaneViewer']);
    await at({ keyId: id }).adopt(id, value);
    await at({ keyId: id }).release(id);
    expect(fake.keys.all.get(id)?.name).toBe(name);
  });
});

describe('the text of a secret that a person wrote', () => {
  const rewritten = (text: string): string =>
    serializeKey(new Redacted({ apiKey: 'new-key-value', apiKeyId: 'key_2' }), new Redacted(text)).reveal();

  test.each([
    ['old-key-value\n', 'new-key-value\n'],
    [
      '{"PINECONE_API_KEY":"old-key-value","index":"docs"}',
      '{"PINECONE_API_KEY":"new-key-value","index":"docs"}',
    ],
    ['{"api-key":"old-key-value"}', '{"api-key":"new-key-value"}'],
    ['{"key":"old-key-value","apiKeyId":"key_1"}', '{"key":"new-key-value","apiKeyId":"key_2"}'],
  ])('is the same after a rotation in all but the key: %s', (before, after) => {
    expect(parseKey(new Redacted(before)).reveal().apiKey).toBe('old-key-value');
    expect(rewritten(before)).toBe(after);
  });

  test.each([
    '{"OPENAI_API_KEY":"old-key-value","PINECONE_API_KEY":"other-key-value"}',
    '{"monkey":"old-key-value"}',
    '{"api_key":7}',
  ])('is refused where it does not tell which field is the key: %s', (text) => {
    expect(() => parseKey(new Redacted(text))).toThrow('another form');
  });
});
