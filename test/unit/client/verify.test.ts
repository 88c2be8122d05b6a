import { jwtVerify } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { createPublishedKeys, createTokenVerifier } from '../../../client/src/verify.ts';
import { jwksCase, signedWith } from '../../contract/cases/jwks.ts';
import { opaqueCase } from '../../contract/cases/opaque.ts';
import { identityHarness } from '../../contract/identity-harness.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import type { SignRequest } from '../../../client/src/agent/api.ts';

const TOKENS = ['a', 'b', 'c'].map((each) => `00000000-0000-4000-8000-00000000000${each}`);
const DAY = 86_400;

/** Waits for real answers: the directory is a server. */
const answered = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

describe('a verifier of tokens', () => {
  const { provider } = opaqueCase();
  const harness = identityHarness(opaqueCase());
  let time: FakeTime;
  beforeAll(async () => harness.start());
  afterAll(async () => harness.stop());
  beforeEach(() => {
    time = new FakeTime(answered);
    harness.served().trouble = undefined;
    harness.served().asked.length = 0;
  });

  const sign: SignRequest = async ({ headers }) => Promise.resolve({ ...headers, authorization: 'signed' });

  async function begin() {
    const target = await harness.freshTarget();
    // One instant for all: what is published then counts from then.
    const ctx = { ...harness.context(target), clock: () => time.now() };
    harness.served().clock = () => time.now();
    const issue = async (generation: number, current?: CredentialHandle) => {
      const token = TOKENS[generation - 1] ?? '';
      const { handle, material } = await provider.issue(target, token, {
        ...ctx,
        generation,
        intervalSeconds: 7 * DAY,
        ...(current === undefined ? {} : { current }),
      });
      return { handle, token: material.reveal().token };
    };
    const { url: directory } = harness.served();
    const verifier = createTokenVerifier({ directory, set: target.name, audience: 'orders', sign, time });
    return { target, ctx, issue, verifier };
  }
  const asked = (): number => harness.served().asked.length;

  it('accepts by what it has read, without a call for each token, and reads again when that is too old', async () => {
    const { issue, verifier } = await begin();
    const { token } = await issue(1);
    const granted = { agent: 'agent-1', audience: 'orders', scopes: ['orders:read'], escalation: false };
    for (let count = 0; count < 10; count++) expect(await verifier.verify(token)).toEqual(granted);
    expect(asked()).toBe(1);
    await time.pass(61);
    expect(await verifier.verify(token)).toEqual(granted);
    expect(asked()).toBe(2);
  });

  it('knows the token that comes next before anybody has it: no rotation waits for a read', async () => {
    const { issue, verifier } = await begin();
    const first = await issue(1);
    await time.pass(361);
    await verifier.verify(first.token);
    const second = await issue(2, first.handle);
    expect(await verifier.verify(second.token)).toBeDefined();
    expect(asked()).toBe(1);
  });

  it('refuses what was removed once it has read again, at once where it is told of a revocation', async () => {
    const { issue, verifier, target, ctx } = await begin();
    const { token, handle } = await issue(1);
    await verifier.verify(token);
    await provider.revoke(target, handle, { endSessions: true, compromised: true }, ctx);
    expect(await verifier.verify(token)).toBeDefined();
    await time.pass(61);
    expect(await verifier.verify(token)).toBeUndefined();
    const second = await issue(3);
    expect(await verifier.verify(second.token)).toBeDefined();
    await provider.revoke(target, second.handle, { endSessions: true, compromised: true }, ctx);
    verifier.expire();
    expect(await verifier.verify(second.token)).toBeUndefined();
  });

  it('asks again for what it does not know, and not for each piece of garbage', async () => {
    const { issue, verifier, target } = await begin();
    const { token } = await issue(1);
    await verifier.verify(token);
    const unknown = `rkt_${target.name}_${'0'.repeat(16)}_${'A'.repeat(43)}_${'0'.repeat(8)}`;
    for (let count = 0; count < 50; count++) expect(await verifier.verify(unknown)).toBeUndefined();
    expect(asked()).toBe(2);
    await time.pass(6);
    await verifier.verify(unknown);
    expect(asked()).toBe(3);
    for (const garbage of ['', 'rkt_', `rkt_other_${token.slice(-70)}`, 'x'.repeat(10_000)])
      expect(await verifier.verify(garbage)).toBeUndefined();
    expect(asked()).toBe(3);
  });

  it('goes on while the directory is down, up to its limit; past it nothing is accepted, and it says why', async () => {
    const { issue, verifier } = await begin();
    const { token } = await issue(1);
    await verifier.verify(token);
    harness.served().trouble = { status: 503 };
    // A day, and an hour for when it was read last.
    await time.pass(DAY + 3600 - 1);
    // One that waits for an answer, whoever else comes within five seconds.
    for (let count = 0; count < 20; count++) expect(await verifier.verify(token)).toBeDefined();
    expect(asked()).toBe(2);
    await time.pass(2);
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'ERR_STALE' });
    harness.served().trouble = undefined;
    await time.pass(5);
    expect(await verifier.verify(token)).toBeDefined();
  });

  it('accepts nothing before it has read, and nothing that it was told is revoked, while the directory is down', async () => {
    const { issue, verifier } = await begin();
    const { token } = await issue(1);
    harness.served().trouble = { status: 503 };
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'ERR_STALE' });
    harness.served().trouble = undefined;
    await time.pass(5);
    await verifier.verify(token);
    harness.served().trouble = { status: 503 };
    verifier.expire();
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'ERR_STALE' });
  });

  it('says which it has read: what comes next is among them', async () => {
    const { issue, verifier } = await begin();
    const first = await issue(1);
    const seen = await verifier.seen();
    expect([seen.length, seen.includes(first.handle.id)]).toEqual([2, true]);
    await time.pass(361);
    const second = await issue(2, first.handle);
    expect(seen).toContain(second.handle.id);
  });

  it('believes no answer that was asked for before it was told of a revocation, the first one neither', async () => {
    const { issue, verifier, target, ctx } = await begin();
    const { token, handle } = await issue(1);
    harness.served().hold = new Promise((resolve) => {
      harness.served().letGo = resolve;
    });
    const asking = verifier.verify(token);
    await answered();
    await provider.revoke(target, handle, { endSessions: true, compromised: true }, ctx);
    verifier.expire();
    harness.served().letGo();
    harness.served().hold = undefined;
    expect(await asking).toBeUndefined();
  });

  it('refuses tokens for others, and those that have ended by themselves; five minutes of skew are no matter', async () => {
    const { issue, verifier, target } = await begin();
    const { token } = await issue(1);
    const { url: directory } = harness.served();
    const other = createTokenVerifier({ directory, set: target.name, audience: 'billing', sign, time });
    expect(await other.verify(token)).toBeUndefined();
    time.jump(14 * DAY + 299);
    expect(await verifier.verify(token)).toBeDefined();
    time.jump(2);
    expect(await verifier.verify(token)).toBeUndefined();
  });

  it('refuses the id of one token with the secret of another', async () => {
    const { issue, verifier, target } = await begin();
    const one = await issue(1);
    await time.pass(361);
    const other = await issue(2, one.handle);
    const mixed = `rkt_${target.name}_${one.handle.id}_${other.token.split(`${other.handle.id}_`)[1] ?? ''}`;
    expect(await verifier.verify(mixed)).toBeUndefined();
  });
});

describe('published keys', () => {
  const { provider } = jwksCase();
  const harness = identityHarness(jwksCase());
  beforeAll(async () => harness.start());
  afterAll(async () => harness.stop());

  it('verify with jose; a removed key dies once they are read again', async () => {
    const time = new FakeTime(answered);
    const target = await harness.freshTarget();
    const ctx = { ...harness.context(target), clock: () => time.now() };
    harness.served().clock = () => time.now();
    const { handle, material } = await provider.issue(target, TOKENS[0] ?? '', { ...ctx, generation: 1 });
    const keys = createPublishedKeys({ directory: harness.served().url, set: target.name, time });
    const verified = async () =>
      jwtVerify(await signedWith(material.reveal()), keys, { issuer: target.issuer });
    await expect(verified()).resolves.toBeDefined();
    await provider.revoke(target, handle, { endSessions: true, compromised: true }, ctx);
    await expect(verified()).resolves.toBeDefined();
    await time.pass(301);
    await expect(verified()).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('are of one algorithm each: a header with another finds none', async () => {
    const target = await harness.freshTarget();
    const { handle } = await provider.issue(target, TOKENS[0] ?? '', {
      ...harness.context(target),
      generation: 1,
    });
    const keys = createPublishedKeys({ directory: harness.served().url, set: target.name });
    await expect(keys({ kid: handle.id, alg: 'EdDSA' })).resolves.toBeDefined();
    for (const alg of ['HS256', 'none', 'ES256', undefined])
      await expect(keys({ kid: handle.id, alg })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
