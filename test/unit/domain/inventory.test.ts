import { describe, expect, it, test } from 'vitest';
import { classify, shapeOf, withOwnNames, type SecretFacts } from '../../../shared/domain/inventory.ts';
import { parseDeclaration } from '../../../shared/domain/declaration.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';

const PASSWORD = 'correct-horse-battery';
const login = {
  engine: 'postgres',
  host: 'db.internal',
  port: 5432,
  dbname: 'orders',
  username: 'orders_app',
};
const shape = (value: unknown) =>
  shapeOf(new Redacted(typeof value === 'string' ? value : JSON.stringify(value)));

const secret = (value: unknown, more: Partial<SecretFacts> = {}): SecretFacts => ({
  name: 'prod/Orders_DB',
  arn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/Orders_DB-AbCdEf',
  tags: {},
  registered: false,
  lastAccessed: '2026-11-22T00:00:00.000Z',
  shape: shape(value),
  ...more,
});

describe('the shape of a secret', () => {
  it('has the names of its keys and where the login leads, and nothing of the password', () => {
    const seen = shape({ ...login, password: PASSWORD, masterarn: 'arn:…' });
    expect(seen).toMatchObject({
      kind: 'json',
      engine: 'postgres',
      host: 'db.internal',
      username: 'orders_app',
    });
    expect(JSON.stringify(seen)).not.toContain(PASSWORD);
  });

  it('of what is no login has no words of the value at all', () => {
    expect(JSON.stringify(shape({ username: 'sk-live-1234', token: PASSWORD }))).not.toMatch(/sk-live|horse/);
    expect(shape(PASSWORD)).toEqual({ kind: 'text' });
    expect(shape('["a"]')).toEqual({ kind: 'text' });
  });

  it('takes a port that is text', () => {
    expect(shape({ ...login, port: '5433', password: PASSWORD })).toMatchObject({ port: 5433 });
  });
});

describe('an import', () => {
  it('proposes a PostgreSQL login in mode observe, adopted, with a second user beside it', () => {
    const finding = classify(secret({ ...login, password: PASSWORD }));
    expect(finding).toMatchObject({
      verdict: 'proposed',
      entry: {
        name: 'prod-orders-db',
        secret: 'prod/Orders_DB',
        adopt: true,
        mode: 'observe',
        target: { host: 'db.internal', database: 'orders', users: ['orders_app', 'orders_app_b'] },
      },
    });
    if (finding.verdict !== 'proposed') throw new Error('not proposed');
    expect(() =>
      parseDeclaration({ version: 1, credentials: [finding.entry] }, { now: 0, limits: {} }),
    ).not.toThrow();
  });

  it('says what its entry lacks, and what a rotation function or a proxy stands in the way of', () => {
    const proxied = { ...login, host: 'p.proxy-abc.eu-central-1.rds.amazonaws.com', dbname: undefined };
    const finding = classify(
      secret({ ...proxied, password: PASSWORD }, { rotationFunction: 'arn:aws:lambda:x:1:function:other' }),
    );
    const notes = finding.verdict === 'proposed' ? finding.notes.join('\n') : '';
    expect(notes).toMatch(/add target\.database/);
    expect(notes).toMatch(/RDS Proxy/);
    expect(notes).toMatch(/function:other rotates it now/);
    expect(notes).toMatch(/declare holders/);
  });

  it('whose shape fits two types is undecided, with the word that decides', () => {
    const open = { host: 'db.internal', username: 'app', password: PASSWORD };
    const finding = classify(secret(open));
    expect(finding).toMatchObject({ verdict: 'undecided' });
    expect(finding).toHaveProperty(
      'why',
      "its shape fits database/postgresql and database/mysql (not Rekey's to rotate)",
    );
    expect(finding).toHaveProperty('remedy', 'say what it is: --as prod/Orders_DB=database/postgresql');
    expect(classify(secret(open), 'database/postgresql')).toMatchObject({ verdict: 'proposed' });
    expect(classify(secret({ ...open, port: 5432 }))).toMatchObject({ verdict: 'proposed' });
  });

  test.each([
    [
      'of an engine that Rekey does not rotate',
      secret({ ...login, engine: 'mysql', password: PASSWORD }),
      /yet/,
    ],
    ['of text', secret('sk-1'), /plain text/],
    ['that a service owns', secret({ ...login }, { owningService: 'rds' }), /rds owns/],
    ['of an administrator', secret({ ...login }, { tags: { 'rekey:admin': 'database' } }), /administrative/],
  ])('leaves out a secret %s, and says why', (_what, facts, why) => {
    const finding = classify(facts);
    expect(finding).toMatchObject({ verdict: 'left-out' });
    expect(finding).toHaveProperty('why', expect.stringMatching(why));
  });

  it('leaves a registered one alone, and decides nothing about what it may not look at', () => {
    expect(classify(secret({}, { registered: true }))).toEqual({ verdict: 'registered' });
    const unseen = secret({}, { shape: { kind: 'unknown', why: 'reading it is denied' } });
    expect(classify(unseen)).toMatchObject({ verdict: 'undecided' });
    expect(classify(unseen, 'database/postgresql')).toMatchObject({ verdict: 'proposed' });
  });

  const body = 'x1_Y-'.repeat(12);
  test.each([
    ['a bare key of OpenAI', `sk-proj-${body}`, 'llm-key', 'openai'],
    ['a key of Anthropic', { ANTHROPIC_API_KEY: `sk-ant-api03-${body}`, model: 'm' }, 'llm-key', 'anthropic'],
    ['a key of Pinecone', { api_key: `pcsk_${body}` }, 'vector-database-key', 'pinecone'],
    [
      'an access key',
      { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: PASSWORD },
      'cloud-key',
      'aws-iam',
    ],
  ])('proposes %s, and keeps nothing of it but its form', (_what, value, type, provider) => {
    const facts = secret(value);
    expect(JSON.stringify(facts)).not.toMatch(/x1_Y|IOSFODNN|horse/);
    expect(classify(facts)).toMatchObject({ verdict: 'proposed', entry: { type, provider, adopt: true } });
  });

  const file = {
    type: 'service_account',
    project_id: 'shop-prod',
    private_key_id: 'a'.repeat(40),
    private_key: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
    client_email: 'reports@shop-prod.iam.gserviceaccount.com',
  };
  it('proposes a key file of Google with whose it is', () => {
    const facts = secret(file);
    expect(JSON.stringify(facts)).not.toContain('x1_Y');
    const finding = classify(facts);
    expect(finding).toMatchObject({
      verdict: 'proposed',
      entry: {
        type: 'cloud-key',
        provider: 'gcp-service-account',
        target: { project: 'shop-prod', serviceAccount: file.client_email, label: 'prod-orders-db' },
      },
    });
    expect(JSON.stringify(finding)).not.toContain('add target');
  });

  const azure = `${'k'.repeat(52)}JQQJ99${'k'.repeat(18)}ACOGkkkk`;
  it('says what an entry for Azure OpenAI lacks, once a person has said that it is one', () => {
    const finding = classify(secret(azure), 'llm-key/azure-openai');
    expect(JSON.stringify(finding)).toMatch(/add target\.tenantId, target\.subscription/);
    expect(JSON.stringify(finding)).not.toContain('kkkk');
  });

  test.each([
    ['a private key alone', file.private_key, 'cloud-key/gcp-service-account'],
    [
      'a private key with others',
      { private_key: file.private_key, client_email: 'a' },
      'signing-key/another',
    ],
    ['a key of Azure AI', azure, 'cloud-key/azure-ai'],
    ['AIza', `AIza${'k'.repeat(35)}`, 'llm-key/google'],
    ['sk-', `sk-${'k'.repeat(48)}`, 'llm-key/openai'],
    [
      'keys of two providers',
      { A_KEY: `sk-proj-${body}`, B_KEY: `pcsk_${body}` },
      'vector-database-key/pinecone',
    ],
  ])('does not guess whose %s is', (_what, value, one) => {
    const finding = classify(secret(value));
    expect(finding).toMatchObject({ verdict: 'undecided', remedy: expect.stringContaining('--as ') });
    expect(finding).toHaveProperty('why', expect.stringContaining(one));
  });

  test.each([
    ['an administrative key of OpenAI', `sk-admin-${body}`, /administrative/],
    ['an administrative key of Anthropic', `sk-ant-admin01-${body}`, /administrative/],
    ['a token of a login at Anthropic', `sk-ant-oat01-${body}`, /ends by itself/],
    ['a key of an AWS session', { AccessKeyId: 'ASIAIOSFODNN7EXAMPLE' }, /session/],
    ['the id of an access key alone', 'AKIAIOSFODNN7EXAMPLE', /without its secret part/],
  ])('leaves out %s', (_what, value, why) => {
    expect(classify(secret(value))).toMatchObject({ verdict: 'left-out', why: expect.stringMatching(why) });
  });

  it('leads an administrative key to its place below roots, by its form and by what a person says', () => {
    const why = (provider: string) => ({
      verdict: 'left-out',
      why: expect.stringMatching(new RegExp(`under roots with provider ${provider}.*docs/roots.md`)),
    });
    expect(classify(secret(`sk-admin-${body}`))).toEqual(why('openai-admin'));
    expect(classify(secret(`sk-ant-admin01-${body}`))).toEqual(why('by-hand'));
    expect(classify(secret('x'), 'root/openai-admin')).toEqual(why('openai-admin'));
  });

  it('says what to do instead where a key can not be taken over, and what one from a pool needs', () => {
    expect(classify(secret('x'), 'vector-database-key/qdrant')).toMatchObject({
      verdict: 'left-out',
      why: expect.stringMatching(/without adopt.*move its holders.*end the old one/),
    });
    const notes = JSON.stringify(classify(secret('x'), 'llm-key/cohere'));
    expect(notes).toContain('check-api-key');
    expect(notes).toMatch(/pool.*inUse/);
  });

  it('gives different labels to names that differ, however long they are', () => {
    const entryOf = (name: string) => {
      const finding = classify({ ...secret(`sk-proj-${body}`), name });
      if (finding.verdict !== 'proposed') throw new Error('not proposed');
      return finding.entry;
    };
    const long = 'prod/the-team-of-support/agents';
    const entries = [`${long}/a`, `${long}/b`, 'short', 'Short'].map(entryOf);
    const labels = withOwnNames(entries, new Set()).map(({ target }) => String(target['label']));
    expect(labels.slice(0, 2)).toEqual(
      Array(2).fill(expect.stringMatching(/^prod-the-team-of-[0-9a-f]{6}$/)),
    );
    expect(labels.slice(2)).toEqual(['short', 'short-2']);
    expect(new Set(labels).size).toBe(4);
  });

  it('gives entries names of their own', () => {
    const finding = classify(secret({ ...login, password: PASSWORD }));
    if (finding.verdict !== 'proposed') throw new Error('not proposed');
    const { entry } = finding;
    const names = withOwnNames([entry, entry], new Set(['prod-orders-db'])).map(({ name }) => name);
    expect(names).toEqual(['prod-orders-db-2', 'prod-orders-db-3']);
  });
});
