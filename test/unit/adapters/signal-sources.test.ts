import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GithubAlerts } from '../../../shared/adapters/github-alerts.ts';
import { KeptSourceKeys } from '../../../shared/adapters/source-keys.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { FakeGithub } from '../../fakes/github.ts';
import { UpstreamServer } from '../../fakes/upstream.ts';

const LOCAL = ['127.0.0.1'];
const TOKEN = 'ghp_canary0123456789';
let github: FakeGithub;
beforeEach(async () => {
  github = await FakeGithub.start(TOKEN);
});
afterEach(() => github[Symbol.asyncDispose]());

describe('alerts of GitHub', () => {
  const alerts = (token = TOKEN, privateHosts: readonly string[] = LOCAL): GithubAlerts =>
    new GithubAlerts({
      apiUrl: github.server.url,
      token: () => Promise.resolve(new Redacted(`${token}\n`)),
      privateHosts,
    });

  it('are read with their values, as they are now', async () => {
    const kept = github.found('o/r', 'found-value');
    const ref = { owner: 'o', repo: 'r', number: kept.number };
    const alert = await alerts().read(ref);
    expect(alert).toMatchObject({ state: 'open', validity: 'active' });
    expect(alert?.secret?.reveal()).toBe('found-value');
    expect(JSON.stringify(alert)).not.toContain('found-value');
    kept.state = 'resolved';
    expect(await alerts().read(ref)).toMatchObject({ state: 'resolved' });
    expect(await alerts().read({ ...ref, number: 99 })).toBeUndefined();
  });

  it('are refused without a word of what was answered', async () => {
    github.found('o/r', 'found-value');
    const ref = { owner: 'o', repo: 'r', number: 1 };
    await expect(alerts('wrong').read(ref)).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    for (const kind of ['reset', 'malformed', 'not-http'] as const) {
      github.server.fail({ kind });
      const error: unknown = await alerts()
        .read(ref)
        .catch((each: unknown) => each);
      expect(error, kind).toMatchObject({ code: 'ERR_UNAVAILABLE' });
      expect(String(error)).not.toMatch(/canary|found-value/);
    }
    // Nothing of a private address is asked unless the settings name it as their own.
    const asked = github.server.asked.length;
    await expect(alerts(TOKEN, []).read(ref)).rejects.toMatchObject({ code: 'ERR_DECLARATION' });
    expect(github.server.asked.length).toBe(asked);
  });
});

describe('keys of sources', () => {
  let now = Date.parse('2026-11-26T10:00:00.000Z');
  const keysAt = (url: string): KeptSourceKeys =>
    new KeptSourceKeys({
      privateHosts: LOCAL,
      partnerKeysUrl: `${url}/meta/public_keys/secret_scanning`,
      readSecret: (arn) => Promise.resolve(new Redacted(arn)),
      clock: () => now,
    });

  it('of partners are read once, and again for one that is new, though not at every name that somebody makes up', async () => {
    github.partnerKeys.set('one', 'PEM 1');
    const keys = keysAt(github.server.url);
    expect([await keys.partnerKey('one'), await keys.partnerKey('one')]).toEqual(['PEM 1', 'PEM 1']);
    for (let n = 0; n < 20; n++) expect(await keys.partnerKey(`made-up-${n}`)).toBeUndefined();
    expect(github.server.asked).toHaveLength(1);
    github.partnerKeys.set('two', 'PEM 2');
    now += 61_000;
    expect(await keys.partnerKey('two')).toBe('PEM 2');
    expect(github.server.asked).toHaveLength(2);
  });

  it('that are good stay for their time, whoever asks for another one while nobody answers', async () => {
    github.partnerKeys.set('one', 'PEM 1');
    const keys = keysAt(github.server.url);
    expect(await keys.partnerKey('one')).toBe('PEM 1');
    now += 61_000;
    github.server.fail({ kind: 'reset' });
    const madeUp = keys.partnerKey('made-up');
    expect(await keys.partnerKey('one')).toBe('PEM 1');
    await expect(madeUp).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    github.server.fail({ kind: 'reset' });
    expect(await keys.partnerKey('one')).toBe('PEM 1');
    now += 600_000;
    // Past its time even a good one is asked for again.
    await expect(keys.partnerKey('one')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
  });

  it('of an issuer check its tokens, follow it to a new key, and take no other algorithm, audience or age', async () => {
    const published: JWK[] = [];
    await using server = await UpstreamServer.start(() => ({ status: 200, body: { keys: published } }));
    const keys = keysAt(server.url);
    const pair = async (kid: string) => {
      const { privateKey, publicKey } = await generateKeyPair('ES256');
      published.push({ ...(await exportJWK(publicKey)), kid });
      return (claims: object, header: object = {}) =>
        new SignJWT({ iss: 'https://idp.example.com/', aud: 'rekey', iat: Math.floor(now / 1000), ...claims })
          .setProtectedHeader({ alg: 'ES256', kid, typ: 'secevent+jwt', ...header })
          .sign(privateKey);
    };
    const terms = {
      issuer: 'https://idp.example.com/',
      audience: 'rekey',
      jwksUrl: `${server.url}/jwks`,
      type: 'secevent+jwt',
      maxAgeSeconds: 600,
    };
    const sign = await pair('a');
    expect(await keys.claims(await sign({ jti: '1' }), terms)).toMatchObject({ jti: '1' });
    for (const claims of [
      { aud: 'another' },
      { iss: 'https://evil.example.com/' },
      { iat: Math.floor(now / 1000) - 900 },
    ])
      await expect(keys.claims(await sign(claims), terms)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    await expect(keys.claims(await sign({}, { typ: 'JWT' }), terms)).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
    });
    // A token that says no end is none of those that have one.
    const { type: _type, maxAgeSeconds: _age, ...ending } = terms;
    await expect(keys.claims(await sign({}), ending)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    // One that goes by two names, and by no third.
    const either = { ...terms, issuer: [terms.issuer, 'https://sts.example.com/'] };
    for (const iss of either.issuer)
      expect(await keys.claims(await sign({ iss }), either)).toMatchObject({ iss });
    await expect(keys.claims(await sign({ iss: `${terms.issuer}x` }), either)).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
    });
    // The public key as a shared one.
    const forged = await new SignJWT({ iss: terms.issuer, aud: 'rekey', iat: Math.floor(now / 1000) })
      .setProtectedHeader({ alg: 'HS256', kid: 'a', typ: 'secevent+jwt' })
      .sign(Buffer.from(JSON.stringify(published[0])));
    await expect(keys.claims(forged, terms)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    const next = await pair('b');
    now += 61_000;
    expect(await keys.claims(await next({ jti: '2' }), terms)).toMatchObject({ jti: '2' });
  });
});
