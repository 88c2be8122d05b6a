import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/serve-directory/routes.ts';
import type { AuditDraft } from '../../../shared/domain/audit.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { CertificateStatuses } from '../../../shared/engine/certificates/status.ts';
import { signLists } from '../../../shared/engine/certificates/lists.ts';
import type { CertifyingDeps } from '../../../shared/engine/certificates/responders.ts';
import { revokeCertificate, type RevokingDeps } from '../../../shared/engine/certificates/revoke.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { pemOf } from '../../../shared/x509/pem.ts';
import { eventOf, ID } from '../api/fakes.ts';
import { IssuingWorld, SET, type LocalAuthority } from '../../support/issuing.ts';
import { localSigner } from '../../support/signer.ts';
import { KEY_KINDS, openssl, opensslRequest } from '../../support/openssl.ts';

const NEVER = Number.POSITIVE_INFINITY;
const TRIGGER = { kind: 'operator', actor: 'arn:alice', reason: 'stolen host' } as const;

/** A world whose first authority has issued; what it commits is kept, and single steps can be made to fail. */
async function begin() {
  const world = new IssuingWorld();
  const [first, next] = [await world.authority(), await world.authority()];
  await world.issueFrom(first, [next]);
  const records: AuditDraft[] = [];
  const trouble: { commit?: RekeyError; sign?: RekeyError } = {};
  const deps: RevokingDeps & CertifyingDeps = {
    ...world.deps,
    revocations: world.revocations,
    statusKey: localSigner(),
    signer: (keyArn) => {
      if (trouble.sign !== undefined) throw trouble.sign;
      return world.deps.signer(keyArn);
    },
    ledger: {
      list: async () => world.ledger.list(),
      credential: async (id) => world.ledger.credential(id),
      idByName: async (name) => world.ledger.idByName(name),
      commit: async (change): Promise<Credential> => {
        if (trouble.commit !== undefined) throw trouble.commit;
        records.push(...change.records);
        return Promise.resolve(change.after);
      },
    },
  };
  const certificate = async (): Promise<{ pem: string; serial: string }> => {
    const { csr } = opensslRequest(KEY_KINDS['P-256']);
    const { body } = await world.ask({ credential: 'shop-ca', csr });
    return { pem: String(body['certificate']), serial: String(body['serial']) };
  };
  const revoke = async (serial: string, dryRun = false) =>
    revokeCertificate(deps, { name: 'shop-ca', serial, incidentId: 'INC-1', trigger: TRIGGER, dryRun });
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const { response } = await answer(eventOf('GET', path, { headers, caller: null }), {
      directory: world.directory,
      revocations: world.revocations,
      clock: () => world.now,
      statuses: async () => Promise.resolve(new CertificateStatuses({ ...deps, signer: undefined })),
    });
    return response;
  };
  const list = async ({ id }: LocalAuthority): Promise<Buffer> => {
    const { statusCode, body = '' } = await get(`/crl/${SET}/${id}`);
    if (statusCode !== 200) throw new Error(`${statusCode}`);
    return Buffer.from(body, 'base64');
  };
  return { world, first, next, deps, records, trouble, certificate, revoke, get, list };
}

/** What openssl says of a certificate by the list of its authority. */
function judged(pem: string, authority: LocalAuthority, list: Uint8Array): string {
  const asked = ['verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem', 'leaf.pem'];
  const files = { 'ca.pem': authority.pem, 'crl.pem': pemOf('X509 CRL', list), 'leaf.pem': pem };
  return openssl(asked, files).output;
}

describe('lists of revoked certificates', () => {
  it('are there of each authority that verifiers trust, signed by its own key, and of no other', async () => {
    const { world, first, next, deps, list, get } = await begin();
    const ended = await world.authority();
    await world.issueFrom(first, [next], [[ended, 'ended']]);
    expect((await get(`/crl/${SET}/${first.id}`)).statusCode).toBe(503);
    const { signed, failed } = await signLists(deps, NEVER);
    expect([[...signed].toSorted(), failed]).toEqual([[first.id, next.id].toSorted(), []]);
    for (const authority of [first, next]) {
      const files = { 'crl.der': await list(authority), 'ca.pem': authority.pem };
      const args = ['crl', '-in', 'crl.der', '-inform', 'DER', '-CAfile', 'ca.pem', '-noout', '-verify'];
      expect(openssl(args, files).output).toContain('verify OK');
    }
    expect((await get(`/crl/${SET}/${ended.id}`)).statusCode).toBe(404);
    expect((await get(`/crl/nobody/${first.id}`)).statusCode).toBe(404);
  });

  it('are signed once an hour, and not again because somebody asks', async () => {
    const { world, first, deps, list } = await begin();
    await signLists(deps, NEVER);
    const before = await list(first);
    world.now += 3_590_000;
    expect((await signLists(deps, NEVER)).signed).toEqual([]);
    expect(await list(first)).toEqual(before);
    world.now += 11_000;
    expect((await signLists(deps, NEVER)).signed).toHaveLength(2);
    expect(world.signers.get(first.keyArn)?.signed).toBe(3);
  });

  it('go on for a day without Rekey, and then there is none', async () => {
    const { world, first, deps, list, get } = await begin();
    await signLists(deps, NEVER);
    world.now += 25 * 3_600_000;
    expect((await list(first)).length).toBeGreaterThan(0);
    world.now += 3_600_000;
    expect((await get(`/crl/${SET}/${first.id}`)).statusCode).toBe(503);
  });

  it('may be kept by caches as long as the bundle, are told apart by their tag, and come in PEM for files', async () => {
    const { first, deps, get } = await begin();
    await signLists(deps, NEVER);
    const { headers = {} } = await get(`/crl/${SET}/${first.id}`);
    expect(headers).toMatchObject({
      'content-type': 'application/pkix-crl',
      'cache-control': 'public, max-age=300',
    });
    const again = await get(`/crl/${SET}/${first.id}`, { 'if-none-match': String(headers['etag']) });
    expect(again.statusCode).toBe(304);
    const { body = '', headers: all = {} } = await get(`/crl/${SET}`);
    expect(all['content-type']).toBe('application/x-pem-file');
    expect(body.match(/BEGIN X509 CRL/g)).toHaveLength(2);
  });

  it('of which one fails keep no other from its turn', async () => {
    const { world, first, next, deps } = await begin();
    world.signers.delete(first.keyArn);
    const { signed, failed } = await signLists(deps, NEVER);
    expect([signed, failed]).toEqual([[next.id], [{ of: first.id, code: 'ERR_INTERNAL' }]]);
  });

  it('are signed also while the key that answers OCSP cannot be read, and that is told', async () => {
    const { first, next, deps } = await begin();
    const refused = new RekeyError('ERR_REJECTED', 'KMS refuses kms:GetPublicKey (DisabledException)');
    const statusKey = { publicKey: async () => Promise.reject(refused) };
    const { signed, failed } = await signLists({ ...deps, statusKey }, NEVER);
    expect(signed).toEqual([first.id, next.id]);
    expect(failed).toEqual([first, next].map(({ id }) => ({ of: id, code: 'ERR_REJECTED' })));
  });
});

describe('a certificate that is revoked', () => {
  it('is on the list at once, for openssl, and no other is', async () => {
    const { first, deps, certificate, revoke, list, records } = await begin();
    await signLists(deps, NEVER);
    const [gone, kept] = [await certificate(), await certificate()];
    expect(judged(gone.pem, first, await list(first))).toContain('leaf.pem: OK');
    const done = await revoke(gone.serial);
    expect(done).toMatchObject({ changed: true, listed: true, authority: first.id, agent: 'checkout' });
    const after = await list(first);
    expect(judged(gone.pem, first, after)).toContain('certificate revoked');
    expect(judged(kept.pem, first, after)).toContain('leaf.pem: OK');
    expect(records).toEqual([
      expect.objectContaining({
        action: 'certificate-revocation-intended',
        trigger: TRIGGER,
        incidentId: 'INC-1',
        evidence: expect.objectContaining({ serial: gone.serial, authority: first.id }),
      }),
    ]);
    expect(new X509Certificate(gone.pem).serialNumber.toLowerCase()).toBe(gone.serial);
  });

  it('is revoked once: the same again is success, and no second record', async () => {
    const { certificate, revoke, records, world } = await begin();
    const { serial } = await certificate();
    const { revokedAt } = await revoke(serial);
    world.now += 60_000;
    expect(await revoke(serial)).toMatchObject({ changed: false, revokedAt, listed: true });
    expect(records).toHaveLength(1);
  });

  it('is looked at without being revoked, where that is asked', async () => {
    const { certificate, revoke, records, world } = await begin();
    const { serial } = await certificate();
    expect(await revoke(serial, true)).not.toHaveProperty('revokedAt');
    expect([records, world.revocations.lists.size]).toEqual([[], 0]);
  });

  it('is not revoked where nothing can be recorded, and is once that is mended', async () => {
    const { certificate, revoke, trouble, world } = await begin();
    const { serial } = await certificate();
    trouble.commit = new RekeyError('ERR_UNAVAILABLE', 'dynamodb did not answer');
    await expect(revoke(serial)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(world.revocations.lists.size).toBe(0);
    delete trouble.commit;
    expect(await revoke(serial)).toMatchObject({ changed: true });
  });

  it('is revoked although the list cannot be signed now; the next run signs it', async () => {
    const { first, deps, certificate, revoke, trouble, list } = await begin();
    await signLists(deps, NEVER);
    const { pem, serial } = await certificate();
    trouble.sign = new RekeyError('ERR_UNAVAILABLE', 'kms did not answer');
    expect(await revoke(serial)).toMatchObject({ changed: true, listed: false });
    expect(await revoke(serial, true)).toMatchObject({ changed: false, listed: false });
    expect(judged(pem, first, await list(first))).toContain('leaf.pem: OK');
    delete trouble.sign;
    expect((await signLists(deps, NEVER)).signed).toEqual([first.id]);
    expect(judged(pem, first, await list(first))).toContain('certificate revoked');
  });

  it('stays on the lists that a rotation makes the old authority sign', async () => {
    const { world, first, next, deps, certificate, revoke, list } = await begin();
    const { pem, serial } = await certificate();
    await revoke(serial);
    await world.issueFrom(next, [await world.authority()], [[first, 'live']]);
    world.now += 2 * 3_600_000;
    await signLists(deps, NEVER);
    expect(judged(pem, first, await list(first))).toContain('certificate revoked');
  });

  it('loses nothing to another that is revoked at the same time, or to a run', async () => {
    const { first, deps, certificate, revoke, list } = await begin();
    const some = [await certificate(), await certificate(), await certificate()];
    await Promise.all([...some.map(async ({ serial }) => revoke(serial)), signLists(deps, NEVER)]);
    await signLists(deps, NEVER);
    const last = await list(first);
    for (const { pem } of some) expect(judged(pem, first, last)).toContain('certificate revoked');
  });

  it('is one of many that are revoked at the same time, and none of them is refused for that', async () => {
    const { deps, world, certificate, revoke } = await begin();
    const serials: string[] = [];
    for (let each = 0; each < 16; each++) serials.push((await certificate()).serial);
    const done = await Promise.all(serials.map(async (serial) => revoke(serial)));
    expect(done.filter(({ changed }) => changed)).toHaveLength(16);
    await signLists(deps, NEVER);
    const [list] = [...world.revocations.lists.values()].filter(({ revoked }) => revoked.length > 0);
    expect(list?.revoked.map(({ serial }) => serial).toSorted()).toEqual(serials.toSorted());
  });

  it('is none for a number that was never issued', async () => {
    const { revoke } = await begin();
    await expect(revoke('4f'.repeat(16))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', field: 'serial' });
  });

  it('is none once it has ended, or its authority has', async () => {
    const { world, first, next, certificate, revoke } = await begin();
    const { serial } = await certificate();
    await world.issueFrom(next, [], [[first, 'ended']]);
    await expect(revoke(serial)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await world.issueFrom(first, [next]);
    world.now += 86_400_000;
    await expect(revoke(serial)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it('is none of a credential that is no certificate authority', async () => {
    const { world, deps } = await begin();
    const [authority] = world.ledger.credentials.values();
    if (authority === undefined) throw new Error('there is no credential');
    world.ledger.credentials.set(ID, { ...authority, type: 'signing-key', provider: 'jwks' });
    const wish = { name: 'shop-ca', serial: '41', incidentId: 'INC-1', trigger: TRIGGER, dryRun: false };
    await expect(revokeCertificate(deps, wish)).rejects.toMatchObject({ code: 'ERR_REQUEST' });
  });
});
