import { createHash, verify, X509Certificate } from 'node:crypto';
import {
  BasicOCSPResponse,
  type CertID,
  CertStatus,
  id_pkix_ocsp_basic,
  KeyHash,
  OCSPRequest,
  OCSPResponse,
  OCSPResponseStatus,
  ResponderID,
  ResponseBytes,
  ResponseData,
  RevokedInfo,
  SingleResponse,
} from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { Certificate } from '@peculiar/asn1-x509';
import { fromInstant, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Signer } from '../ports/signer.ts';
import { derOf, ecdsaWithSha256 } from './asn1.ts';

/** The one hash by which certificates are named here (RFC 5019, section 2.1.1). It only names. */
const SHA1 = '1.3.14.3.2.26';

const ASN1_NULL = Buffer.from([0x05, 0x00]);

/** What a request asks for. */
export interface StatusRequest {
  /** Serial number in hexadecimal. */
  readonly serial: string;
  /** Whether the certificate is of an authority, by its certificate in PEM. */
  readonly isOf: (authority: string) => boolean;
  /** In which of its two forms the hash is named: whoever asks may take no answer in the other. */
  readonly hashForm: 'plain' | 'null';
  readonly certId: CertID;
}

/** What is told of a certificate. */
export interface Status {
  readonly revokedAt?: Instant;
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
}

/** Who answers: a certificate that an authority has given to another key for that alone. */
export interface Responder {
  readonly signer: Signer;
  /** As PEM. */
  readonly certificate: string;
}

/** The certificate that a request (RFC 6960) asks for. @throws RekeyError ERR_REQUEST where it asks for none, or for several */
export function parseStatusRequest(der: Uint8Array): StatusRequest {
  const [asked, ...more] = requestsIn(der);
  if (asked === undefined || more.length > 0 || asked.hashAlgorithm.algorithm !== SHA1) throw malformed();
  const { issuerNameHash, issuerKeyHash, serialNumber, hashAlgorithm } = asked;
  return {
    serial: Buffer.from(serialNumber).toString('hex'),
    isOf: (authority) => {
      const { tbsCertificate } = AsnConvert.parse(new X509Certificate(authority).raw, Certificate);
      const { subject, subjectPublicKeyInfo } = tbsCertificate;
      return (
        isHash(issuerNameHash, derOf(subject)) &&
        isHash(issuerKeyHash, new Uint8Array(subjectPublicKeyInfo.subjectPublicKey))
      );
    },
    hashForm: hashFormOf(hashAlgorithm),
    certId: asked,
  };
}

/** Parameters of SHA-1 are absent, or NULL (RFC 3279, section 2.1); an answer repeats them. */
function hashFormOf({ parameters }: CertID['hashAlgorithm']): StatusRequest['hashForm'] {
  if (parameters === undefined) return 'plain';
  if (parameters === null || Buffer.from(parameters).equals(ASN1_NULL)) return 'null';
  throw malformed();
}

/**
 * A signed answer (RFC 6960), in DER.
 * @throws RekeyError ERR_REJECTED where the key is not the one that was certified: nobody would take the answer
 */
export async function statusAnswer(
  { signer, certificate }: Responder,
  { certId }: StatusRequest,
  { revokedAt, thisUpdate, nextUpdate }: Status,
): Promise<Uint8Array> {
  const certified = new X509Certificate(certificate);
  const own = AsnConvert.parse(certified.raw, Certificate);
  const { subjectPublicKey } = own.tbsCertificate.subjectPublicKeyInfo;
  const revocationTime = revokedAt === undefined ? undefined : wholeSecond(revokedAt);
  const tbsResponseData = new ResponseData({
    responderID: new ResponderID({ byKey: new KeyHash(sha1(new Uint8Array(subjectPublicKey))) }),
    producedAt: wholeSecond(thisUpdate),
    responses: [
      new SingleResponse({
        certID: certId,
        certStatus: new CertStatus(
          revocationTime === undefined ? { good: null } : { revoked: new RevokedInfo({ revocationTime }) },
        ),
        thisUpdate: wholeSecond(thisUpdate),
        nextUpdate: wholeSecond(nextUpdate),
      }),
    ],
  });
  const tbs = derOf(tbsResponseData);
  const signature = new Uint8Array(await signer.sign(tbs));
  if (!verify('sha256', tbs, certified.publicKey, signature)) {
    throw new RekeyError('ERR_REJECTED', 'the key that answers is not the one that was certified', {
      remedy: 'the authority certifies it within five minutes; else look at the function revoke-certificates',
    });
  }
  const basic = new BasicOCSPResponse({
    tbsResponseData,
    signatureAlgorithm: ecdsaWithSha256(),
    signature: signature.buffer,
    certs: [own],
  });
  return derOf(
    new OCSPResponse({
      responseStatus: OCSPResponseStatus.successful,
      responseBytes: new ResponseBytes({
        responseType: id_pkix_ocsp_basic,
        response: new OctetString(derOf(basic)),
      }),
    }),
  );
}

/** An answer that nobody signs: ask again in a while (RFC 6960, section 2.3). */
export function laterAnswer(): Uint8Array {
  return derOf(new OCSPResponse({ responseStatus: OCSPResponseStatus.tryLater }));
}

/** An answer that nobody signs: nothing is known of this certificate (RFC 5019, section 2.2.3). */
export function unknownAnswer(): Uint8Array {
  return derOf(new OCSPResponse({ responseStatus: OCSPResponseStatus.unauthorized }));
}

/** Times in answers have no fractions (RFC 5280, section 4.1.2.5.2). */
function wholeSecond(instant: Instant): Date {
  return new Date(Math.floor(fromInstant(instant) / 1000) * 1000);
}

function requestsIn(der: Uint8Array): CertID[] {
  try {
    const { tbsRequest } = AsnConvert.parse(der, OCSPRequest);
    return tbsRequest.requestList.map(({ reqCert }) => reqCert);
  } catch (cause) {
    throw malformed(cause);
  }
}

function isHash(hash: OctetString, bytes: Uint8Array): boolean {
  return Buffer.from(hash.buffer).equals(sha1(bytes));
}

function sha1(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha1').update(bytes).digest());
}

function malformed(cause?: unknown): RekeyError {
  return new RekeyError('ERR_REQUEST', 'it is no request for the status of one certificate', {
    remedy: 'ask for one certificate, by SHA-1, as RFC 5019 has it: openssl ocsp does so',
    ...(cause === undefined ? {} : { cause }),
  });
}
