import { BasicOCSPResponse, OCSPRequest, OCSPResponse } from '@peculiar/asn1-ocsp';
import { AsnConvert } from '@peculiar/asn1-schema';
import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { DirectorySet } from '../../../shared/domain/directory.ts';
import type { Leaf } from '../../../shared/domain/leaf.ts';
import { CertificateStatuses } from '../../../shared/engine/certificates/status.ts';
import { authorityOf, newSerial, responderCertificate } from '../../../shared/x509/certificates.ts';
import { unknownAnswer } from '../../../shared/x509/ocsp.ts';
import { MemoryRevocations } from '../../support/directory.ts';
import { IssuingWorld, SET } from '../../support/issuing.ts';
import { opensslBytes } from '../../support/openssl.ts';
import { localSigner, type LocalSigner } from '../../support/signer.ts';

/** A set with an authority that somebody answers for, and a request by openssl, changed to another serial number. */
async function begin(): Promise<{ set: DirectorySet; requestFor: (serial: Uint8Array) => Uint8Array }> {
  const world = new IssuingWorld();
  const authority = await world.authority();
  await world.issueFrom(authority);
  const read = await world.directory.read({ kind: 'bundles', name: SET });
  if (read === undefined) throw new Error('no set');
  const entries = read.entries.map((entry) => ({
    ...entry,
    document: { ...entry.document, responder: authority.pem },
  }));
  const args = ['ocsp', '-issuer', 'ca.pem', '-serial', '0x41', '-no_nonce', '-reqout', 'out'];
  const asked = opensslBytes(args, { 'ca.pem': authority.pem });
  const requestFor = (serial: Uint8Array): Uint8Array => {
    const request = AsnConvert.parse(asked, OCSPRequest);
    for (const { reqCert } of request.tbsRequest.requestList)
      reqCert.serialNumber = new Uint8Array(serial).buffer;
    return new Uint8Array(AsnConvert.serialize(request));
  };
  return { set: { ...read, entries }, requestFor };
}

describe('whether a certificate is revoked', () => {
  it.each([
    ['none', 0, 0],
    ['one byte', 1, 1],
    ['as many bytes as a certificate may have', 20, 1],
    ['one more', 21, 0],
    ['more than the table takes as a key', 600, 0],
  ])('is looked up by a serial number of %s only where one can be', async (_what, bytes, reads) => {
    const { set, requestFor } = await begin();
    const read: string[] = [];
    const leaves = {
      bySerial: async (_set: string, _authority: string, serial: string) => {
        read.push(serial);
        return Promise.resolve(undefined);
      },
    };
    const statuses = new CertificateStatuses({
      leaves,
      revocations: new MemoryRevocations(),
      signer: localSigner(),
      clock: Date.now,
    });
    const { der } = await statuses.of(set, requestFor(new Uint8Array(bytes).fill(0x41)));
    expect([read.length, der]).toEqual([reads, unknownAnswer()]);
  });

  it('is answered in the words of whoever asks, and not of somebody who asked before', async () => {
    const { set, requestFor } = await begin();
    const statusKey = localSigner();
    const { certificate } = await responderOf(statusKey);
    const statuses = new CertificateStatuses({
      leaves: { bySerial: async () => Promise.resolve({} as Leaf) },
      revocations: new MemoryRevocations(),
      signer: statusKey,
      clock: Date.now,
    });
    const entries = set.entries.map((entry) => ({
      ...entry,
      document: { ...entry.document, responder: certificate },
    }));
    const asked = async (parameters: Uint8Array | undefined): Promise<string | undefined> => {
      const request = AsnConvert.parse(requestFor(new Uint8Array([0x41])), OCSPRequest);
      const { hashAlgorithm } = request.tbsRequest.requestList[0]?.reqCert ?? expect.fail('no request');
      delete hashAlgorithm.parameters;
      if (parameters !== undefined) hashAlgorithm.parameters = new Uint8Array(parameters).buffer;
      const { der } = await statuses.of({ ...set, entries }, new Uint8Array(AsnConvert.serialize(request)));
      const { responseBytes } = AsnConvert.parse(der, OCSPResponse);
      const basic = AsnConvert.parse(
        responseBytes?.response.buffer ?? expect.fail('none'),
        BasicOCSPResponse,
      );
      const told = basic.tbsResponseData.responses[0]?.certID.hashAlgorithm.parameters;
      return told == null ? String(told) : Buffer.from(told).toString('hex');
    };
    const absent = await asked(undefined);
    expect(await asked(new Uint8Array([5, 0]))).not.toBe(absent);
    // Nobody else would take an answer in these: they go into no memory.
    await expect(asked(new Uint8Array([4, 1, 0]))).rejects.toMatchObject({ code: 'ERR_REQUEST' });
  });
});

async function responderOf(key: LocalSigner): Promise<{ certificate: string }> {
  const world = new IssuingWorld();
  const { pem, signer } = await world.authority();
  const at = { notBefore: toInstant(world.now - 1000), notAfter: toInstant(world.now + 86_400_000) };
  const terms = { publicKey: await key.publicKey(), serial: newSerial(), ...at };
  return { certificate: await responderCertificate(signer, authorityOf(pem), terms) };
}
