import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { isSigned } from '../../../shared/domain/signals/github-partner.ts';
import { trufflehogFindings } from '../../../shared/domain/signals/trufflehog.ts';
import { SHARED, SignalWorld } from '../../support/signal-world.ts';

const LEAKED = 'a-value-that-works-0123456789abcdef';

async function world(): Promise<SignalWorld> {
  const one = await SignalWorld.start();
  one.add('orders', LEAKED);
  return one;
}

describe("GitHub's public test vector", () => {
  const body = Buffer.from('[{"token":"some_token","type":"some_type","url":"some_url"}]');
  const key = [
    '-----BEGIN PUBLIC KEY-----',
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq',
    'kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==',
    '-----END PUBLIC KEY-----',
  ].join('\n');
  const signature =
    'MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc=';

  it('verifies', () => expect(isSigned(body, signature, key)).toBe(true));

  it.each([
    ['one byte more', Buffer.concat([body, Buffer.from('\n')])],
    ['one byte less', body.subarray(0, -1)],
    ['another byte', Buffer.from(body.toString().replace('some_url', 'Some_url'))],
  ])('fails with %s', (_what, bytes) => expect(isSigned(bytes, signature, key)).toBe(false));

  it('fails where key or signature is none', () => {
    expect(isSigned(body, signature, 'no key')).toBe(false);
    expect(isSigned(body, 'bm8gc2lnbmF0dXJl', key)).toBe(false);
    expect(isSigned(body, undefined, key)).toBe(false);
  });
});

describe('a delivery', () => {
  it.each(['github', 'github-partner', 'siem'] as const)(
    'of %s with a value that works starts its emergency under an id of its own, whatever API Gateway makes of the bytes',
    async (source) => {
      for (const base64 of [true, false]) {
        const one = await world();
        const { response } = await one.send(await one.signed(source, LEAKED, 1), base64);
        expect(response.statusCode).toBe(202);
        expect(response.body).not.toContain('orders');
        expect(one.emergencies).toMatchObject([
          { credentials: [{ credentialId: 'id-orders' }], actor: `signal:${source}`, replace: true },
        ]);
        // Revoked before it is recorded.
        expect(one.writes.indexOf('emergency')).toBeLessThan(one.writes.indexOf('commit'));
        expect(one.records).toEqual(['leak-reported']);
      }
    },
  );

  it.each(['risc', 'gcp', 'azure'] as const)(
    'of %s, which shows no value, rotates what its name is mapped to',
    async (source) => {
      const one = await world();
      await one.send(await one.signed(source, LEAKED, 1));
      expect(one.rotations.length).toBe(1);
      expect(one.emergencies).toEqual([]);
    },
  );

  it('of GitGuardian, which has no fingerprint, is for a person to look at', async () => {
    const one = await world();
    const { outcomes } = await one.send(await one.signed('gitguardian', LEAKED, 1));
    expect(outcomes).toEqual([{ act: 'look', credentials: [] }]);
    expect(one.writes).toEqual(['take', 'take', 'mark']);
  });

  it('is taken under an older shared secret as long as that stands in the secret, and under no other', async () => {
    const one = await world();
    const message = { signals: [{ id: '1', fingerprints: [fingerprint(new Redacted(LEAKED))] }] };
    expect((await one.send(one.hmac('siem', message, 'older-one'))).response.statusCode).toBe(202);
    expect((await one.send(one.hmac('siem', message, 'another'))).response.statusCode).toBe(403);
    // An empty line is no secret.
    expect((await one.send(one.hmac('siem', message, ''))).response.statusCode).toBe(403);
  });

  it.each([
    ['is not for us', { aud: 'another' }, 'secevent+jwt'],
    ['is of another issuer', { iss: 'https://evil.example.com/' }, 'secevent+jwt'],
    ['is for another end', {}, 'JWT'],
    ['is years old', { iat: 1_600_000_000 }, 'secevent+jwt'],
  ])('of RISC is refused where its token %s', async (_what, claims, type) => {
    const one = await world();
    expect((await one.send(await one.risc({ jti: 'j', ...claims }, type))).response.statusCode).toBe(403);
    expect(one.writes).toEqual([]);
  });

  it.each([
    ['of another service account', { email: 'evil@example.com' }],
    ['whose address nobody has verified', { email_verified: false }],
    ['that has ended', { exp: 1_600_000_000 }],
  ])('of Pub/Sub is refused with a token %s', async (_what, claims) => {
    const one = await world();
    expect((await one.send(await one.gcp(1, claims))).response.statusCode).toBe(403);
    expect(one.writes).toEqual([]);
  });

  it.each([
    ['version 1', {}],
    [
      'version 2',
      {
        iss: 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0',
        appid: undefined,
        azp: '4962773b-9cdb-44cf-a8bf-237846a00ab7',
      },
    ],
  ])(
    'of Event Grid with a token of Entra, %s, rotates, and its question is answered',
    async (_version, claims) => {
      const one = await world();
      const sent = await one.eventGrid(1, claims);
      expect((await one.send(sent)).response.statusCode).toBe(202);
      expect(one.rotations.length).toBe(1);
      const eventType = 'Microsoft.EventGrid.SubscriptionValidationEvent';
      const asked = [{ id: 'v', eventType, data: { validationCode: 'code-1' } }];
      const { response } = await one.send({ ...sent, body: Buffer.from(JSON.stringify(asked)) });
      expect([response.statusCode, response.body]).toEqual([200, '{"validationResponse":"code-1"}']);
    },
  );

  it.each([
    ['of another tenant', { iss: 'https://sts.windows.net/99999999-2222-3333-4444-555555555555/' }],
    ['of another tenant, version 2', { iss: 'https://login.microsoftonline.com/common/v2.0' }],
    ['for another application', { aud: 'api://another' }],
    ['of another client', { appid: '00000000-2222-3333-4444-555555555555' }],
    ['of another client that names Event Grid beside it', { azp: '00000000-2222-3333-4444-555555555555' }],
    ['of nobody', { appid: undefined }],
    ['that has ended', { exp: 1_600_000_000 }],
    ['without an end', { exp: undefined }],
  ])('of Event Grid is refused with a token %s, whatever word is in the address', async (_what, claims) => {
    const one = await world();
    const sent = await one.eventGrid(1, claims);
    for (const query of [{}, { key: SHARED }])
      expect((await one.send({ ...sent, query })).response.statusCode).toBe(403);
    expect(one.writes).toEqual([]);
  });

  it('of Event Grid is known by what the settings name, and by nothing else', async () => {
    const one = await world();
    const { secretArn, entra, credentials } = one.services.settings.azure ?? { credentials: {} };
    const byToken = await one.eventGrid(1);
    const byWord = await one.signed('azure', LEAKED, 2);
    const statuses = async (azure: object): Promise<unknown[]> => {
      Object.assign(one.services, { settings: { azure: { credentials, ...azure } } });
      return Promise.all([byToken, byWord].map(async (sent) => (await one.send(sent)).response.statusCode));
    };
    expect(await statuses({ entra })).toEqual([202, 403]);
    expect(await statuses({ secretArn })).toEqual([403, 202]);
    // Azure may bring a token that nobody here has asked for.
    const { headers } = byToken;
    expect((await one.send({ ...byWord, headers })).response.statusCode).toBe(202);
    expect(await statuses({ secretArn, entra })).toEqual([202, 202]);
  });

  it('of GitHub with more tokens than usual is not refused as a whole', async () => {
    const one = await world();
    const tokens = [LEAKED, ...Array.from({ length: 55 }, (_none, n) => `made-up-${n}`)];
    const { response } = await one.send(one.partner(tokens.map((token) => ({ token, type: 't' }))));
    expect([response.statusCode, one.emergencies.length]).toEqual([202, 1]);
  });

  it('that can not be carried out is refused without a name of what it is about', async () => {
    const one = await world();
    one.refuseRotations = new RekeyError('ERR_UNAVAILABLE', 'the vault of "orders" does not answer');
    const message = { signals: [{ id: '1', fingerprints: [fingerprint(new Redacted(LEAKED))] }] };
    const { response, error } = await one.send(one.hmac('siem', message));
    expect(response.statusCode).toBe(503);
    expect(response.body).not.toContain('orders');
    expect(String(error)).toContain('orders');
  });

  it('of Event Grid that asks whether the address wants its events is told so', async () => {
    const one = await world();
    const sent = await one.signed('azure', LEAKED, 1);
    const asked = [
      {
        id: 'v',
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        data: { validationCode: 'code-1' },
      },
    ];
    const { response } = await one.send({ ...sent, body: Buffer.from(JSON.stringify(asked)) });
    // Event Grid takes no 202 for an answer.
    expect(response.statusCode).toBe(200);
    expect(JSON.parse(response.body ?? '')).toEqual({ validationResponse: 'code-1' });
    expect(one.writes).toEqual([]);
  });

  it('of GitHub is not verified unless GitHub has tried its value', async () => {
    const one = await world();
    const unknown = await one.signed('github', LEAKED, 2);
    one.alerts.set(2, { state: 'open', secret: new Redacted(LEAKED), validity: 'unknown' });
    expect((await one.send(unknown)).outcomes).toMatchObject([{ act: 'rotate', credentials: ['orders'] }]);
    expect(one.emergencies).toEqual([]);
  });

  it('of GitHub is acted on although somebody has closed its alert since: that ends no value', async () => {
    const one = await world();
    const closed = await one.signed('github', LEAKED, 1);
    one.alerts.set(1, { state: 'resolved', secret: new Redacted(LEAKED), validity: 'active' });
    expect((await one.send(closed)).outcomes).toMatchObject([{ act: 'revoke', credentials: ['orders'] }]);
  });

  it('of GitHub is for a person to look at where its alert has no value', async () => {
    const one = await world();
    const sent = await one.signed('github', LEAKED, 1);
    one.alerts.set(1, { state: 'open', validity: 'active' });
    expect((await one.send(sent)).outcomes).toEqual([{ act: 'look', credentials: [] }]);
  });

  it('of GitHub whose alert can not be read is for a person to look at', async () => {
    const one = await world();
    const sent = await one.signed('github', LEAKED, 1);
    one.alerts.clear();
    expect((await one.send(sent)).outcomes).toEqual([{ act: 'look', credentials: [] }]);
  });

  it('with a value that is not ours leaves nothing but that it was taken', async () => {
    const one = await world();
    await one.send(await one.signed('github-partner', 'somebody-elses-value-0123456789', 1));
    expect(one.writes).toEqual(['take', 'mark']);
  });

  it('that is larger than any is refused', async () => {
    const one = await world();
    const sent = one.hmac('siem', { signals: [], pad: 'x'.repeat(200_000) });
    expect((await one.send(sent)).response.statusCode).toBe(413);
  });

  it('of a source that is not deployed finds no route', async () => {
    const one = await world();
    const services = { ...one.services, settings: {} };
    Object.assign(one, { services });
    expect((await one.send(await one.signed('siem', LEAKED, 1))).response.statusCode).toBe(404);
  });
});

describe('the output of TruffleHog', () => {
  const line = (raw: string, verified: boolean): string =>
    JSON.stringify({ DetectorName: 'Postgres', Verified: verified, Raw: raw, RawV2: '', SourceMetadata: {} });

  it('is read by its values, each once, verified where one of its lines says so', () => {
    const output = [
      '{"level":"info"}',
      line(LEAKED, false),
      line(LEAKED, true),
      line('x'.repeat(40), false),
      '',
    ];
    const found = trufflehogFindings(new Redacted(output.join('\n')));
    expect(found.map(({ detector, verified }) => [detector, verified])).toEqual([
      ['Postgres', true],
      ['Postgres', false],
    ]);
    expect(found[0]?.fingerprints).toContain(fingerprint(new Redacted(LEAKED)));
    expect(JSON.stringify(found)).not.toContain(LEAKED);
  });

  it('is refused without quoting it where there is nothing in it', () => {
    expect(() => trufflehogFindings(new Redacted(LEAKED))).toThrow(/no finding/);
    expect(() => trufflehogFindings(new Redacted(LEAKED))).not.toThrow(LEAKED);
  });
});
