import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditDraft } from '../../../shared/domain/audit.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { signLists } from '../../../shared/engine/certificates/lists.ts';
import { revokeCertificate, type RevokingDeps } from '../../../shared/engine/certificates/revoke.ts';
import { privateAuthorityOf } from '../../../shared/http/private-ca.ts';
import { idOf } from '../../../shared/providers/x509/authority.ts';
import { FakePrivateCa, type FakeAuthority } from '../../fakes/private-ca.ts';
import { IssuingWorld, type LocalAuthority, type MemoryLeaves } from '../../support/issuing.ts';
import { KEY_KINDS, openssl, opensslRequest } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';
import { takeNoTimeToWait } from '../../support/waits.ts';

const TRIGGER = { kind: 'operator', actor: 'arn:alice', reason: 'stolen host' } as const;

describe('a certificate that AWS Private CA has issued', () => {
  takeNoTimeToWait();
  let fake: FakePrivateCa;
  beforeAll(async () => {
    fake = await FakePrivateCa.start();
  });
  afterAll(async () => fake[Symbol.asyncDispose]());

  /** An authority that has issued; what is committed is kept. */
  async function begin(tells: FakeAuthority['tells'] = { crl: true, ocsp: true }) {
    fake.server.heal();
    fake.denied.clear();
    const world = new IssuingWorld();
    const made = await fake.add({ tells });
    const { arn: keyArn, certificate: pem } = made;
    world.privateAuthorities.set(keyArn, privateAuthorityOf(fake.aws, keyArn) ?? expect.fail('it is none'));
    const authority: LocalAuthority = { id: idOf(pem), pem, keyArn, signer: localSigner() };
    await world.issueFrom(authority);
    for (const [id, each] of world.ledger.credentials)
      world.ledger.credentials.set(id, { ...each, provider: 'private-ca' });
    const records: AuditDraft[] = [];
    const deps: RevokingDeps = {
      ...world.deps,
      revocations: world.revocations,
      ledger: {
        list: async () => world.ledger.list(),
        credential: async (id) => world.ledger.credential(id),
        idByName: async (name) => world.ledger.idByName(name),
        commit: async (change): Promise<Credential> => {
          records.push(...change.records);
          return Promise.resolve(change.after);
        },
      },
    };
    const certificate = async (): Promise<{ pem: string; serial: string }> => {
      const { body } = await world.ask({
        credential: 'shop-ca',
        csr: opensslRequest(KEY_KINDS['P-256']).csr,
      });
      return { pem: String(body['certificate']), serial: String(body['serial']) };
    };
    const revoke = async (serial: string, dryRun = false) =>
      revokeCertificate(deps, { name: 'shop-ca', serial, incidentId: 'INC-1', trigger: TRIGGER, dryRun });
    /** What openssl says of it by the list that AWS has. */
    const judged = async (leaf: string): Promise<string> => {
      const asked = ['verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem', 'leaf.pem'];
      return openssl(asked, { 'ca.pem': pem, 'crl.pem': await fake.list(keyArn), 'leaf.pem': leaf }).output;
    };
    return { world, made, deps, records, certificate, revoke, judged };
  }

  it('is revoked at AWS by the number that is in it, for openssl, and no other is', async () => {
    const { certificate, revoke, judged, records, made } = await begin();
    const [gone, kept] = [await certificate(), await certificate()];
    expect(await judged(gone.pem)).toContain('leaf.pem: OK');
    expect(await revoke(gone.serial)).toMatchObject({
      changed: true,
      serial: gone.serial,
      agent: 'checkout',
      listed: true,
      tellsBy: ['crl', 'ocsp'],
    });
    expect(await judged(gone.pem)).toContain('certificate revoked');
    expect(await judged(kept.pem)).toContain('leaf.pem: OK');
    expect([...made.revoked]).toEqual([gone.serial]);
    expect(records).toEqual([
      expect.objectContaining({
        action: 'certificate-revocation-intended',
        trigger: TRIGGER,
        incidentId: 'INC-1',
        evidence: expect.objectContaining({ serial: gone.serial }),
      }),
    ]);
  });

  it('is on record before AWS is asked, and the same again completes what AWS has refused', async () => {
    const { certificate, revoke, records, made } = await begin();
    const { serial } = await certificate();
    fake.denied.add('RevokeCertificate');
    await expect(revoke(serial)).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    expect([records.length, made.revoked.size]).toEqual([1, 0]);
    expect(await revoke(serial, true)).toMatchObject({ changed: true });
    fake.denied.clear();
    expect(await revoke(serial)).toMatchObject({ changed: true });
    const { revokedAt, ...again } = await revoke(serial);
    expect([again.changed, typeof revokedAt, records.length]).toEqual([false, 'string', 2]);
  });

  it('is revoked also where the answer is lost, or somebody has revoked it at AWS', async () => {
    const { certificate, revoke, made } = await begin();
    const [one, other] = [await certificate(), await certificate()];
    const happened = fake.server.fail({ kind: 'lost' }, isRevoke);
    expect(await revoke(one.serial)).toMatchObject({ changed: true });
    expect(happened()).toBe(true);
    made.revoked.add(other.serial);
    expect(await revoke(other.serial)).toMatchObject({ changed: true });
  });

  it.each(['ConcurrentModificationException', 'RequestInProgressException'])(
    'is asked for again where AWS is still at it (%s)',
    async (name) => {
      const { certificate, revoke } = await begin();
      const { serial } = await certificate();
      fake.server.fail({ kind: 'reply', status: 400, body: { __type: name } }, isRevoke);
      await expect(revoke(serial)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', retryable: true });
      expect(await revoke(serial)).toMatchObject({ changed: true });
    },
  );

  it.each([
    [{ crl: true, ocsp: false }, ['crl']],
    [{ crl: false, ocsp: true }, ['ocsp']],
  ])('is told by what the authority has: %j', async (tells, tellsBy) => {
    const { certificate, revoke } = await begin(tells);
    expect(await revoke((await certificate()).serial, true)).toMatchObject({ changed: true, tellsBy });
  });

  it.each([true, false])(
    'is not revoked where nobody would hear of it, and that is said with what to do (dry run: %s)',
    async (isDry) => {
      const { certificate, revoke, records, made } = await begin({ crl: false, ocsp: false });
      const { serial } = await certificate();
      await expect(revoke(serial, isDry)).rejects.toMatchObject({
        code: 'ERR_REQUEST',
        message: expect.stringContaining('neither a list nor OCSP'),
        remedy: expect.stringContaining('rekey revoke shop-ca'),
      });
      expect([records.length, made.revoked.size]).toEqual([0, 0]);
    },
  );

  it('is none by the number under which it was recorded before it was issued', async () => {
    const { world, certificate, revoke, records } = await begin();
    const { serial } = await certificate();
    const [recorded] = (world.leaves as MemoryLeaves).byKey.values();
    expect(recorded?.serial).not.toBe(serial);
    await expect(revoke(recorded?.serial ?? '')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(records).toEqual([]);
  });

  it('has no list of Rekey’s own', async () => {
    const { deps, certificate, revoke } = await begin();
    await revoke((await certificate()).serial);
    const statusKey = localSigner();
    expect(await signLists({ ...deps, statusKey }, Number.POSITIVE_INFINITY)).toMatchObject({
      signed: [],
      failed: [],
    });
  });

  it('was asked for and revoked as AWS’s own description has it', () => {
    expect(fake.violations).toEqual([]);
    expect(fake.checked).toBeGreaterThan(30);
  });
});

function isRevoke({ headers }: { readonly headers: NodeJS.Dict<string | string[]> }): boolean {
  return headers['x-amz-target'] === 'ACMPrivateCA.RevokeCertificate';
}
