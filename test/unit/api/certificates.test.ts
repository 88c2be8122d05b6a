import { createPublicKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { certificateAnswer } from '../../../shared/api/agent-messages.ts';
import { problem, PROBLEM_TYPE } from '../../../shared/api/problems.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { MAX_LEAVES_AN_HOUR } from '../../../shared/domain/leaf.ts';
import { decommission } from '../../../shared/engine/agents/decommission.ts';
import { describeLeaves } from '../../contract/describe-leaves.ts';
import { AGENT, CALLER, holder, PRINCIPAL, SIBLING } from '../../support/agent-api.ts';
import { IssuingWorld, MemoryLeaves, SET } from '../../support/issuing.ts';
import { KEY_KINDS, openssl, opensslRequest } from '../../support/openssl.ts';
import { credentialOf, eventOf, ID } from './fakes.ts';
import { answer } from '../../../lambdas/issue-certificates/route.ts';

describeLeaves('memory', (clock) => new MemoryLeaves(clock));

const HOUR = 3_600_000;
const requestOf = (...wishes: string[]) =>
  opensslRequest(
    KEY_KINDS['P-256'],
    wishes.flatMap((wish) => ['-addext', wish]),
  );
const { csr, key } = requestOf();
const ask = { credential: 'shop-ca', csr };

describe('POST /certificates', () => {
  it('gives the agent that calls a certificate that openssl takes with the bundle beside it', async () => {
    const world = await IssuingWorld.start();
    const { status, body, headers } = await world.ask({ ...ask, instance: 'i-0abc' });
    expect([status, headers['cache-control']]).toEqual([201, 'no-store']);
    const { certificate, bundle, id, serial, notAfter, renewAt } = certificateAnswer.parse(body);
    const files = { 'ca.pem': bundle, 'leaf.pem': certificate };
    expect(openssl(['verify', '-x509_strict', '-CAfile', 'ca.pem', 'leaf.pem'], files).output).toBe(
      'leaf.pem: OK\n',
    );
    expect(bundle.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const read = new X509Certificate(certificate);
    expect(id).toBe(`spiffe://agents.shop.example/agent/${AGENT}/i-0abc`);
    expect(read.subjectAltName).toBe(`URI:${id}`);
    expect(read.serialNumber.toLowerCase()).toBe(serial);
    expect(read.publicKey.equals(createPublicKey(key))).toBe(true);
    expect(read.infoAccess).toContain('OCSP - URI:https://directory.example/ocsp/');
    expect(Date.parse(notAfter) - world.now).toBeCloseTo(24 * HOUR, -4);
    expect(Date.parse(renewAt) - world.now).toBeCloseTo(12 * HOUR, -4);
  });

  it('gives none to an agent that is out of service', async () => {
    const world = await IssuingWorld.start();
    const { agents, clock } = world.deps;
    const order = { agent: AGENT, actor: 'arn:o', reason: 'gone', incidentId: 'OPS-1', dryRun: false };
    await decommission({ agents: world.agents, clock }, order);
    expect(await agents.pact(AGENT)).toHaveProperty('decommissioned');
    expect(await world.ask(ask)).toMatchObject({ status: 403, body: { code: 'ERR_FORBIDDEN' } });
  });

  it('names it after the caller, whatever the request asks to be', async () => {
    const world = await IssuingWorld.start();
    const wishes = requestOf(
      'subjectAltName=URI:spiffe://agents.shop.example/agent/search',
      'basicConstraints=critical,CA:TRUE',
    );
    const { body } = await world.ask({ ...ask, csr: wishes.csr });
    const read = new X509Certificate(String(body['certificate']));
    expect([read.subjectAltName, read.ca]).toEqual([
      `URI:spiffe://agents.shop.example/agent/${AGENT}`,
      false,
    ]);
  });

  it('is on record before it is signed: who, when, for which key, by which authority', async () => {
    const world = await IssuingWorld.start();
    for (const signer of world.signers.values())
      signer.sign = async () => Promise.reject(new Error('KMS is away'));
    expect(await world.ask(ask)).toMatchObject({ status: 500 });
    const [leaf] = [...(world.leaves as MemoryLeaves).byKey.values()];
    expect(leaf).toMatchObject({
      agent: AGENT,
      caller: CALLER,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('is asked for once more where the authority has ended just before it signs', async () => {
    const world = await IssuingWorld.start();
    for (const signer of world.signers.values())
      signer.sign = async () => Promise.reject(new RekeyError('ERR_REJECTED', 'KMS refuses kms:Sign'));
    expect(await world.ask(ask)).toMatchObject({
      status: 503,
      body: { code: 'ERR_UNAVAILABLE', remedy: expect.stringMatching(/ask again/) },
    });
  });

  it('gives the same again for the same request, also after the answer was lost, and counts it once', async () => {
    const world = await IssuingWorld.start();
    const first = await world.ask(ask);
    world.now += HOUR;
    const again = await world.ask(ask);
    const facts = ({ body }: typeof first) =>
      ['id', 'serial', 'notBefore', 'notAfter', 'renewAt'].map((name) => body[name]);
    expect(facts(again)).toEqual(facts(first));
    const { byKey, counts } = world.leaves as MemoryLeaves;
    expect([byKey.size, ...counts.values()]).toEqual([1, 1]);
    const both = await Promise.all([world.ask({ ...ask, csr: requestOf().csr }), world.ask(ask)]);
    expect(both.map(({ status }) => status)).toEqual([201, 201]);
  });

  it('of two who send the same at once both get the same certificate', async () => {
    const world = await IssuingWorld.start();
    const [one, other] = await Promise.all([world.ask(ask), world.ask(ask)]);
    expect([one?.status, other?.status]).toEqual([201, 201]);
    expect(one?.body['serial']).toBe(other?.body['serial']);
  });

  it('wants another key for the next certificate, for another name, and under another authority', async () => {
    const world = await IssuingWorld.start();
    const start = world.now;
    const conflict = {
      status: 409,
      body: { code: 'ERR_CONFLICT', field: 'csr', remedy: expect.stringMatching(/another key/) },
    };
    await world.ask(ask);
    expect(await world.ask({ ...ask, instance: 'b' })).toMatchObject(conflict);
    world.now = start + 12 * HOUR + 1000;
    expect(await world.ask(ask)).toMatchObject(conflict);
    world.now = start;
    await world.issueFrom(await world.authority());
    expect(await world.ask(ask)).toMatchObject(conflict);
  });

  it('signs with the authority that agents hold now, and with none that was ended', async () => {
    const world = new IssuingWorld();
    const [old, current, next] = [await world.authority(), await world.authority(), await world.authority()];
    await world.issueFrom(current, [next], [[old, 'live']]);
    const { body } = await world.ask(ask);
    expect(body['authority']).toBe(current.id);
    expect(String(body['bundle'])).toContain(old.pem);
    expect([old, current, next].map(({ signer }) => signer.signed)).toEqual([1, 2, 1]);
    // An emergency has ended it, and the ledger doesn't know the next one yet.
    await world.issueFrom(current, [next]);
    const set = await world.directory.read({ kind: 'bundles', name: SET });
    if (set === undefined) throw new Error('no set');
    await world.directory.write({
      ...set,
      entries: set.entries.map((each) => ({ ...each, state: each.state === 'live' ? 'ended' : each.state })),
    });
    const refused = await world.ask({ ...ask, csr: requestOf().csr });
    expect(refused).toMatchObject({
      status: 503,
      body: { code: 'ERR_UNAVAILABLE', remedy: expect.stringMatching(/ask again/) },
    });
  });

  it('is refused to whoever is no agent of that authority, and tells them nothing else', async () => {
    const world = await IssuingWorld.start();
    world.ledger.add(credentialOf({ id: 'other', name: 'orders-db', holders: [holder()] }));
    // What an authority has signed is none.
    const target = { authority: 'shop-ca', trustDomain: 'shop.example', holder: 'lb', leafSeconds: 60 };
    const kept = { type: 'certificate-authority', provider: 'leaf', target, holders: [holder()] };
    world.ledger.add(credentialOf({ id: 'kept', name: 'lb-cert', ...kept }));
    const refusals = [
      await world.ask(ask, SIBLING),
      await world.ask({ ...ask, agent: 'search' }),
      await world.ask({ ...ask, credential: 'orders-db' }),
      await world.ask({ ...ask, credential: 'lb-cert' }),
      await world.ask({ ...ask, credential: 'nothing' }),
      await world.ask(ask, null),
    ];
    for (const { status, body, headers } of refusals) {
      expect([status, headers['content-type']]).toEqual([403, PROBLEM_TYPE]);
      expect(problem.parse(body)).toMatchObject({ code: 'ERR_FORBIDDEN' });
    }
    expect((world.leaves as MemoryLeaves).byKey.size).toBe(0);
  });

  it('wants to know which agent asks where several run under one role', async () => {
    const world = await IssuingWorld.start();
    const credential = world.ledger.credentials.get(ID);
    if (credential === undefined) throw new Error('no credential');
    const other = { kind: 'polling' as const, name: 'refunds', ttlSeconds: 300 };
    const holders = [holder(), { ...other, principal: PRINCIPAL }, { ...other, name: 'anybody' }];
    world.ledger.add({ ...credential, holders });
    expect(await world.ask(ask)).toMatchObject({
      status: 400,
      body: { field: 'agent', remedy: `name one of them: ${AGENT}, refunds` },
    });
    const { body } = await world.ask({ ...ask, agent: 'refunds' });
    expect(body['id']).toBe('spiffe://agents.shop.example/agent/refunds');
  });

  it.each([
    ['no request', { csr: undefined }, 400, 'csr'],
    ['another form', { csr: 'text' }, 400, 'csr'],
    ['a name that leads elsewhere', { instance: '../search' }, 400, 'instance'],
    ['an empty name', { instance: '' }, 400, 'instance'],
    ['an unknown field', { subjectAltName: 'spiffe://x/y' }, 400, 'subjectAltName'],
    ['a body that is too long', { csr: 'x'.repeat(40_000) }, 413, undefined],
  ])('refuses %s, and records nothing', async (_what, changes, status, field) => {
    const world = await IssuingWorld.start();
    const refused = await world.ask({ ...ask, ...changes });
    expect([refused.status, refused.body['field'], refused.body['code']]).toEqual([
      status,
      field,
      'ERR_REQUEST',
    ]);
    const { byKey, counts } = world.leaves as MemoryLeaves;
    expect([byKey.size, counts.size]).toEqual([0, 0]);
  });

  it('gives one agent a bounded number in an hour, and the others go on', async () => {
    const world = await IssuingWorld.start();
    const { counts } = world.leaves as MemoryLeaves;
    await world.ask(ask);
    const [place] = [...counts.keys()];
    counts.set(place ?? '', MAX_LEAVES_AN_HOUR);
    const fresh = async () => world.ask({ ...ask, csr: requestOf().csr });
    expect(await fresh()).toMatchObject({ status: 422, body: { code: 'ERR_CAPACITY' } });
    // What it has had already, it has again.
    expect(await world.ask(ask)).toMatchObject({ status: 201 });
    world.now += HOUR;
    expect(await fresh()).toMatchObject({ status: 201 });
  });

  it('ends no certificate later than its authority', async () => {
    const world = new IssuingWorld();
    const current = await world.authority(6 * 3600);
    await world.issueFrom(current);
    const { body } = await world.ask(ask);
    expect(Date.parse(String(body['notAfter']))).toBe(new X509Certificate(current.pem).validToDate.getTime());
    world.now += 7 * HOUR;
    expect(await world.ask({ ...ask, csr: requestOf().csr })).toMatchObject({ status: 503 });
  });

  it('writes no key and no request into the log', async () => {
    const world = await IssuingWorld.start();
    const { about } = await answer(
      eventOf('POST', '/certificates', { caller: CALLER, body: ask }),
      world.deps,
    );
    expect(Object.keys(about).toSorted()).toEqual(['authority', 'caller', 'id', 'serial']);
  });
});
