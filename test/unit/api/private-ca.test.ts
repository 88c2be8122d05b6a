import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requestFor } from '../../../client/src/tls/request.ts';
import { certificateAnswer } from '../../../shared/api/agent-messages.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { privateAuthority } from '../../../shared/http/private-ca.ts';
import { idOf } from '../../../shared/providers/x509/authority.ts';
import { FakePrivateCa, type FakeAuthority } from '../../fakes/private-ca.ts';
import { AGENT } from '../../support/agent-api.ts';
import { IssuingWorld, SET, type LocalAuthority, type MemoryLeaves } from '../../support/issuing.ts';
import { KEY_KINDS, openssl, opensslRequest } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

const { csr } = opensslRequest(KEY_KINDS['P-256']);
const ask = { credential: 'shop-ca', csr };
const ID = `spiffe://agents.shop.example/agent/${AGENT}`;

describe('POST /certificates of an authority of AWS Private CA', () => {
  takeNoTimeToWait();
  let fake: FakePrivateCa;
  let made: FakeAuthority;
  let world: IssuingWorld;
  beforeAll(async () => {
    fake = await FakePrivateCa.start();
  });
  afterAll(async () => fake[Symbol.asyncDispose]());

  async function anAuthority(): Promise<LocalAuthority> {
    made = await fake.add();
    const { arn: keyArn, certificate: pem } = made;
    world.privateAuthorities.set(keyArn, privateAuthority(fake.aws, keyArn));
    return { id: idOf(pem), pem: `${pem.trimEnd()}\n`, keyArn, signer: localSigner() };
  }

  beforeEach(async () => {
    fake.server.heal();
    fake.issues.length = 0;
    fake.slowness = 1;
    fake.twist = undefined;
    fake.clock = Date.now;
    world = new IssuingWorld();
    const next = await anAuthority();
    await world.issueFrom(await anAuthority(), [next]);
  });

  it('gives the agent that calls a certificate that openssl takes with the bundle beside it', async () => {
    const { status, body } = await world.ask({ ...ask, instance: 'i-0abc' });
    expect(status).toBe(201);
    const { certificate, bundle, id, serial, notAfter } = certificateAnswer.parse(body);
    const files = { 'ca.pem': bundle, 'leaf.pem': certificate };
    for (const purpose of ['sslclient', 'sslserver']) {
      const verify = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', 'leaf.pem'];
      expect(openssl(verify, files).output).toBe('leaf.pem: OK\n');
    }
    const read = new X509Certificate(certificate);
    expect([id, read.subjectAltName, read.subject]).toEqual([`${ID}/i-0abc`, `URI:${ID}/i-0abc`, 'O=Rekey']);
    expect(read.serialNumber.toLowerCase()).toBe(serial);
    expect(read.validToDate.toISOString()).toBe(notAfter);
  });

  it('asks for an end entity, for the life that is declared, under the name that follows from the caller', async () => {
    await world.ask(ask);
    const [{ Validity, ValidityNotBefore, ...asked } = expect.fail('nothing was asked')] = fake.issues;
    expect(asked).toMatchObject({
      TemplateArn: 'arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1',
      SigningAlgorithm: 'SHA256WITHECDSA',
      ApiPassthrough: {
        Subject: { Organization: 'Rekey' },
        Extensions: { SubjectAlternativeNames: [{ UniformResourceIdentifier: ID }] },
      },
    });
    expect(Validity.Value - (ValidityNotBefore?.Value ?? 0)).toBe(86_400 + 300);
  });

  it('names it after the caller, whatever the request asks to be', async () => {
    const wishes = opensslRequest(KEY_KINDS['P-256'], [
      '-addext',
      'subjectAltName=URI:spiffe://agents.shop.example/agent/search,DNS:search.example',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
    ]);
    const { body } = await world.ask({ ...ask, csr: wishes.csr });
    const read = new X509Certificate(String(body['certificate']));
    expect([read.subjectAltName, read.subject, read.ca]).toEqual([`URI:${ID}`, 'O=Rekey', false]);
  });

  it('takes the requests of the client', async () => {
    expect(await world.ask({ ...ask, csr: requestFor('P-256').csr })).toMatchObject({ status: 201 });
  });

  it('waits for it, and gives who has waited in vain the same one later, which is asked for once', async () => {
    fake.slowness = 1000;
    expect(await world.ask(ask)).toMatchObject({
      status: 503,
      body: { code: 'ERR_UNAVAILABLE', remedy: expect.stringMatching(/same request/) },
    });
    fake.slowness = 0;
    // AWS knows the token no more.
    fake.clock = () => Date.now() + 600_000;
    const [one, other] = [await world.ask(ask), await world.ask(ask)];
    expect([one.status, one.body['serial']]).toEqual([201, other.body['serial']]);
    expect(fake.issues).toHaveLength(1);
    const [leaf] = [...(world.leaves as MemoryLeaves).byKey.values()];
    expect(leaf?.ref).toMatch(`${made.arn}/certificate/`);
  });

  it.each([
    ['the answer is lost', () => fake.server.fail({ kind: 'lost' }, isIssue)],
    ['the request never arrives', () => fake.server.fail({ kind: 'reset' }, isIssue)],
    [
      'AWS turns it away for a moment',
      () =>
        fake.server.fail({ kind: 'reply', status: 400, body: { __type: 'ThrottlingException' } }, isIssue),
    ],
  ])('asks for one certificate where %s', async (_what, goesWrong) => {
    goesWrong();
    expect(await world.ask(ask)).toMatchObject({ status: 201 });
    expect(fake.issues).toHaveLength(1);
  });

  it('asks for one certificate where it dies before it has written down where it is', async () => {
    const refer = world.leaves.refer.bind(world.leaves);
    world.leaves.refer = async () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'gone'));
    expect(await world.ask(ask)).toMatchObject({ status: 503 });
    world.leaves.refer = refer;
    expect(await world.ask(ask)).toMatchObject({ status: 201 });
    expect(fake.issues).toHaveLength(1);
  });

  it('gives nobody one that is not on record under the number that is in it', async () => {
    const renumber = world.leaves.renumber.bind(world.leaves);
    world.leaves.renumber = async () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'gone'));
    expect(await world.ask(ask)).toMatchObject({ status: 503 });
    world.leaves.renumber = renumber;
    const { body } = await world.ask(ask);
    const serial = String(body['serial']);
    expect(await world.leaves.bySerial(SET, idOf(made.certificate), serial)).toMatchObject({
      id: ID,
      serial,
    });
    expect(fake.issues).toHaveLength(1);
  });

  it('asks for another key where AWS has failed to issue: asking again would never give one', async () => {
    const failed = { __type: 'RequestFailedException' };
    fake.server.fail({ kind: 'reply', status: 400, body: failed }, isGet);
    expect(await world.ask(ask)).toMatchObject({
      status: 409,
      body: { code: 'ERR_CONFLICT', field: 'csr', remedy: expect.stringMatching(/another key/) },
    });
    fake.server.heal();
    expect(await world.ask({ ...ask, csr: requestFor('P-256').csr })).toMatchObject({ status: 201 });
  });

  it.each([
    ['another name', { SubjectAlternativeNames: [{ UniformResourceIdentifier: `${ID}/other` }] }],
    [
      'a further name',
      {
        SubjectAlternativeNames: [
          { UniformResourceIdentifier: ID },
          { UniformResourceIdentifier: 'https://search.example' },
        ],
      },
    ],
  ])('gives nobody a certificate with %s than was asked for', async (_what, Extensions) => {
    fake.twist = (issue) => ({ ...issue, ApiPassthrough: { ...issue.ApiPassthrough, Extensions } });
    const { status, body } = await world.ask(ask);
    expect([status, body['code'], body['certificate']]).toEqual([503, 'ERR_UNAVAILABLE', undefined]);
  });

  it('gives nobody a certificate that takes its subject from the request, or lives on', async () => {
    fake.twist = ({ ApiPassthrough, ...issue }) => ({
      ...issue,
      ApiPassthrough: { Extensions: ApiPassthrough?.Extensions ?? {} },
    });
    expect(await world.ask(ask)).toMatchObject({ status: 503 });
    fake.twist = (issue) => ({
      ...issue,
      Validity: { ...issue.Validity, Value: issue.Validity.Value + 3600 },
    });
    expect(await world.ask({ ...ask, csr: requestFor('P-256').csr })).toMatchObject({ status: 503 });
  });

  it.each([
    ['is disabled', () => (made.status = 'DISABLED')],
    ['is deleted', () => (made.status = 'DELETED')],
    ['carries no tags of Rekey', () => (made.tagged = false)],
  ])('is refused for the moment where the authority %s', async (_what, change) => {
    change();
    expect(await world.ask(ask)).toMatchObject({
      status: 503,
      body: { code: 'ERR_UNAVAILABLE', remedy: expect.stringMatching(/ask again/) },
    });
  });

  it.each([
    ['without a name', opensslRequest(KEY_KINDS['P-256'], ['-subj', '/']).csr],
    ['with a key that AWS does not take', opensslRequest(KEY_KINDS.Ed25519).csr],
  ])('says that a request is refused %s', async (_what, refused) => {
    expect(await world.ask({ ...ask, csr: refused })).toMatchObject({
      status: 400,
      body: { code: 'ERR_REQUEST', field: 'csr', remedy: expect.stringMatching(/P-256/) },
    });
  });
});

function isIssue({ headers }: { readonly headers: NodeJS.Dict<string | string[]> }): boolean {
  return headers['x-amz-target'] === 'ACMPrivateCA.IssueCertificate';
}

function isGet({ headers }: { readonly headers: NodeJS.Dict<string | string[]> }): boolean {
  return headers['x-amz-target'] === 'ACMPrivateCA.GetCertificate';
}
