import { OCSPRequest } from '@peculiar/asn1-ocsp';
import { AsnConvert } from '@peculiar/asn1-schema';
import { describe, expect, it } from 'vitest';
import type { DirectorySet } from '../../../shared/domain/directory.ts';
import { CertificateStatuses } from '../../../shared/engine/certificates/status.ts';
import { unknownAnswer } from '../../../shared/x509/ocsp.ts';
import { MemoryRevocations } from '../../support/directory.ts';
import { IssuingWorld, SET } from '../../support/issuing.ts';
import { opensslBytes } from '../../support/openssl.ts';
import { localSigner } from '../../support/signer.ts';

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
});
