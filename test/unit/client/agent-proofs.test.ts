import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { kmsSignature, type AgentSessionOptions, type KmsSign } from '../../../client/src/agent.ts';
import type { Verifying } from '../../../client/src/verify.ts';
import type { PublicKey } from '../../../shared/domain/possession.ts';
import { FakeKms } from '../../fakes/kms.ts';
import { holder } from '../../support/agent-api.ts';
import { SessionCase } from '../../support/agent-session.ts';
import { credentialOf, ID, ROTATION_ID, rotationOf } from '../api/fakes.ts';

const OPENS_AT = rotationOf().window?.opensAt ?? '';
const KEPT = { opensAt: OPENS_AT, versionId: ROTATION_ID, fingerprint: 'sha256:2222' };
const SPECS = {
  EdDSA: 'ECC_NIST_EDWARDS25519',
  ES256: 'ECC_NIST_P256',
  RS256: 'RSA_2048',
  PS256: 'RSA_2048',
} as const;

/** A key in KMS with what agents read of it, and what verifiers know. */
async function keyInKms(alg: keyof typeof SPECS) {
  const kms = new FakeKms();
  const call = async (operation: string, input: object): Promise<Record<string, string>> => {
    const headers = { 'x-amz-target': `TrentService.${operation}` };
    const request = { path: '/', method: 'POST', headers, body: JSON.stringify(input) };
    return JSON.parse((await kms.request('kms', request)).text) as Record<string, string>;
  };
  const [, made] = [
    await call('CreateKey', { KeySpec: SPECS[alg], KeyUsage: 'SIGN_VERIFY' }),
    [...kms.keys.values()][0],
  ];
  const jwk: JsonWebKey = createPublicKey(
    made?.publicKey.export({ format: 'pem', type: 'spki' }) ?? '',
  ).export({
    format: 'jwk',
  });
  return {
    text: JSON.stringify({ set: 'shop', alg, jwk, keyArn: made?.arn }),
    publicKey: { ...jwk, alg } as PublicKey,
    signWith: kmsSignature(async ({ Message, ...input }: KmsSign) => {
      const { Signature = '' } = await call('Sign', {
        ...input,
        Message: Buffer.from(Message).toString('base64'),
      });
      return { Signature: Buffer.from(Signature, 'base64') };
    }),
  };
}

/** An agent whose secret is no secret: it names a key in KMS. */
async function signing(
  agent: SessionCase,
  { text, publicKey }: Awaited<ReturnType<typeof keyInKms>>,
): Promise<void> {
  agent.vault.put(text, 'AWSCURRENT', ROTATION_ID);
  await agent.world.openWindow({ acknowledgement: { ...KEPT, publicKey } });
}

describe('a holder of a key that stays in KMS', () => {
  it.each(Object.keys(SPECS) as (keyof typeof SPECS)[])(
    '%s: acknowledges by a signature of it',
    async (alg) => {
      await using agent = await SessionCase.make();
      const key = await keyInKms(alg);
      await agent.open({ signWith: key.signWith });
      await signing(agent, key);
      await agent.time.pass(60);
      expect(agent.acknowledged).toMatchObject([{ instance: 'host-1', versionId: ROTATION_ID }]);
      const [{ signed } = { signed: {} }] = agent.server.of('acknowledgements');
      expect(Object.keys(signed)).toContain('signature');
      expect(Object.keys(signed)).not.toContain('proof');
      expect(agent.problems).toEqual([]);
    },
  );

  it('proves nothing by what is in the secret, which everybody may know, nor with another key', async () => {
    await using agent = await SessionCase.make();
    const key = await keyInKms('EdDSA');
    await agent.world.pact();
    const instance = await agent.world.instance();
    await signing(agent, key);
    expect(await instance.acknowledge({}, key.text)).toMatchObject({
      status: 403,
      body: { code: 'ERR_PROOF', field: 'payload.signature' },
    });
    const { proof: _none, ...payload } = await instance.payload();
    const other = await keyInKms('EdDSA');
    const signed = await other.signWith(
      { field: (name: string) => (JSON.parse(other.text) as Record<string, string>)[name] } as never,
      'rekey acknowledgement v1\nanything',
    );
    expect(await instance.send(await instance.sign({ ...payload, signature: signed }))).toMatchObject({
      status: 403,
      body: { code: 'ERR_PROOF', field: 'payload.signature' },
    });
    expect(agent.acknowledged).toEqual([]);
  });

  it('is told what it lacks where it is not set up to sign, and acknowledges nothing', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    await signing(agent, await keyInKms('EdDSA'));
    await agent.time.pass(60);
    expect(agent.problems).toContain('acknowledge: ERR_OPTIONS');
    expect(agent.acknowledged).toEqual([]);
  });

  it('of the version before is held to the proof that its window began with', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    await agent.openWindow();
    await agent.time.pass(60);
    expect(agent.server.of('acknowledgements')[0]?.signed).toHaveProperty('proof');
    expect(agent.acknowledged).toHaveLength(1);
  });
});

/** What verifies, without a directory: `verify.test.ts` has it with one. */
class Verifier implements Verifying {
  ids: readonly string[] = ['orders_a', 'orders_next'];
  isDown = false;
  expired = 0;

  async seen(): Promise<readonly string[]> {
    if (this.isDown) throw new Error('the directory is down');
    return Promise.resolve(this.ids);
  }

  expire(): void {
    this.expired++;
  }
}

describe('a verifier in session', () => {
  async function begin(more: Partial<AgentSessionOptions> = {}) {
    const agent = await SessionCase.make();
    const verifier = new Verifier();
    const base = credentialOf({ holders: [{ ...holder(), verifies: true }] });
    agent.world.ledger.add(base);
    const pact = agent.options.pact as { credentials: object[] };
    const credentials = pact.credentials.map((each) => ({ ...each, uses: 'unreported' }));
    await agent.open({
      credentials: {},
      verifiers: { 'orders-db': verifier },
      pact: { ...pact, credentials },
      ...more,
    });
    return { agent, verifier, base, [Symbol.asyncDispose]: async () => agent[Symbol.asyncDispose]() };
  }
  /** Nobody who has the secret has to prove anything. */
  const open = async ({ agent }: { agent: SessionCase }): Promise<void> =>
    agent.openWindow({ acknowledgement: KEPT });

  it('acknowledges with the ids that it has read, once the new one is among them', async () => {
    await using one = await begin();
    const { agent, verifier } = one;
    await open(one);
    await agent.time.pass(120);
    expect(agent.acknowledged).toEqual([]);
    expect(agent.problems).toContain('acknowledge: ERR_DENIED');
    verifier.ids = ['orders_a', 'orders_b', 'orders_next'];
    await agent.time.pass(120);
    expect(agent.acknowledged).toMatchObject([{ versionId: ROTATION_ID }]);
    expect(agent.server.of('acknowledgements').at(-1)?.signed).toMatchObject({ seen: verifier.ids });
    // It holds no version, reports no use, and has forgotten nothing that it needs.
    expect([agent.held, agent.store.reported, verifier.expired]).toEqual([[], [], 0]);
  });

  it('is told the id by no notice: what it says it has read', async () => {
    await using one = await begin();
    await open(one);
    const notices = await one.agent.world.call(
      'GET',
      `/agents/checkout/sessions/${await sessionOf(one.agent)}/notices`,
    );
    expect(notices.body).toMatchObject({ notices: [{ acknowledge: true, proof: 'seen' }] });
    expect(JSON.stringify(notices.body)).not.toContain('orders_b');
  });

  it('keeps nothing else from being acknowledged while its directory is down', async () => {
    await using agent = await SessionCase.make();
    const verifier = new Verifier();
    verifier.isDown = true;
    await agent.open({ verifiers: { 'another-db': verifier } });
    await agent.openWindow();
    await agent.time.pass(60);
    expect(agent.acknowledged).toHaveLength(1);
  });

  it('forgets what it has read when an emergency halts its agents, and once for each', async () => {
    await using one = await begin();
    const { agent, verifier, base } = one;
    agent.world.ledger.add({ ...base, status: 'halted' });
    await agent.time.pass(60);
    expect(verifier.expired).toBe(1);
    await agent.time.pass(300);
    expect(verifier.expired).toBe(1);
  });

  it('forgets it as well where the emergency was over before it looked', async () => {
    await using one = await begin();
    const { agent, verifier, base } = one;
    const { current } = base;
    if (current === undefined) throw new Error('nothing is current');
    agent.world.ledger.add({ ...base, current: { ...current, versionId: ROTATION_ID } });
    await agent.time.pass(60);
    expect(verifier.expired).toBe(1);
  });

  it('forgets nothing for a rotation, which has a window', async () => {
    await using one = await begin();
    const { agent, verifier, base } = one;
    await open(one);
    await agent.time.pass(60);
    const { current } = base;
    if (current === undefined) throw new Error('nothing is current');
    agent.world.ledger.add({ ...base, current: { ...current, versionId: ROTATION_ID } });
    await agent.time.pass(120);
    expect(verifier.expired).toBe(0);
  });

  it('whoever has the secret proves nothing in its place', async () => {
    await using one = await begin();
    await open(one);
    const instance = await one.agent.world.instance('host-2');
    expect(await instance.acknowledge()).toMatchObject({ status: 403, body: { field: 'payload.seen' } });
    const { proof, ...payload } = await instance.payload();
    for (const both of [{ proof, seen: ['orders_b'] }, {}])
      expect(await instance.send(await instance.sign({ ...payload, ...both }))).toMatchObject({
        status: 400,
        body: { code: 'ERR_REQUEST', field: 'payload.proof' },
      });
    expect(await instance.send(await instance.sign({ ...payload, seen: ['orders_b'] }))).toMatchObject({
      status: 200,
    });
    expect(one.agent.store.said.map(({ versionId }) => versionId)).toContain(ROTATION_ID);
    expect(ID).not.toBe(ROTATION_ID);
  });

  async function sessionOf(agent: SessionCase): Promise<string> {
    const [session] = await agent.store.sessions('checkout');
    return session?.id ?? '';
  }
});
