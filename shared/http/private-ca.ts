import * as z from 'zod';
import { fromInstant, toInstant, type Instant } from '../domain/clock.ts';
import { isRekeyError, RekeyError, type ErrorCode } from '../domain/errors.ts';
import type { PrivateAuthority, Telling } from '../ports/private-authority.ts';
import { AwsServiceError, isAwsError, type AwsReach } from './aws.ts';
import { pause } from './exchange.ts';

/** Certificate authorities of AWS Private CA, whose keys never leave it (API version 2017-08-22). */

/**
 * For both ends of TLS, and for nothing else: key usage, its extension and that it is no authority are the template's, which
 * neither request nor caller overrules. Name and subject are the caller's, since what the request says of them counts only
 * where the caller says nothing (docs/adr/037).
 */
const TEMPLATE = 'template/EndEntityCertificate_APIPassthrough/V1';

/** Whose a reference is: that of an authority of AWS Private CA. */
const OF_PRIVATE_CA = /^arn:[^:]*:acm-pca:/;
/** How long a certificate is waited for; most take a second. */
const ISSUED_WITHIN_MS = 10_000;
const FIRST_LOOK_MS = 250;

/** What AWS answers of an authority that signs nothing any more, whatever is done. */
const GONE = ['ResourceNotFoundException', 'InvalidStateException'];

/** What AWS answers while it does what it was asked for before. */
const BUSY = ['RequestInProgressException', 'ConcurrentModificationException'];

/** An authority as AWS describes it. */
export interface DescribedAuthority {
  /** e.g. `ACTIVE`, `PENDING_CERTIFICATE`, `DISABLED`. */
  readonly status: string;
  /** `ROOT` or `SUBORDINATE`. */
  readonly type: string;
  /** e.g. `EC_prime256v1`. */
  readonly keyAlgorithm: string;
  /** The end of its certificate; absent before it has one. */
  readonly notAfter?: Instant;
  /** By what it lets verifiers know what is revoked. */
  readonly tellsBy: readonly Telling[];
}

/** Absent, or not enabled, where nothing was configured. */
const enabled = z.object({ Enabled: z.boolean() }).optional();

const described = z.object({
  CertificateAuthority: z.object({
    Status: z.string(),
    Type: z.string(),
    NotAfter: z.number().optional(),
    CertificateAuthorityConfiguration: z.object({ KeyAlgorithm: z.string() }),
    RevocationConfiguration: z.object({ CrlConfiguration: enabled, OcspConfiguration: enabled }).optional(),
  }),
});

/** What AWS knows of an authority; undefined where there is none. */
export async function describeAuthority(aws: AwsReach, arn: string): Promise<DescribedAuthority | undefined> {
  try {
    const input = { CertificateAuthorityArn: arn };
    const { CertificateAuthority } = await call(aws, 'DescribeCertificateAuthority', input, described);
    const { Status, Type, NotAfter, CertificateAuthorityConfiguration } = CertificateAuthority;
    const { CrlConfiguration: crl, OcspConfiguration: ocsp } =
      CertificateAuthority.RevocationConfiguration ?? {};
    return {
      status: Status,
      type: Type,
      keyAlgorithm: CertificateAuthorityConfiguration.KeyAlgorithm,
      ...(NotAfter === undefined ? {} : { notAfter: toInstant(Math.floor(NotAfter) * 1000) }),
      tellsBy: [
        ...(crl?.Enabled === true ? ['crl' as const] : []),
        ...(ocsp?.Enabled === true ? ['ocsp' as const] : []),
      ],
    };
  } catch (error) {
    if (isRekeyError(error) && isAwsError(error.cause, 'ResourceNotFoundException')) return undefined;
    throw error;
  }
}

/** The certificate of an authority itself, as PEM. */
export async function authorityCertificate(aws: AwsReach, arn: string): Promise<string> {
  const answer = z.object({ Certificate: z.string() });
  const input = { CertificateAuthorityArn: arn };
  const { Certificate } = await call(aws, 'GetCertificateAuthorityCertificate', input, answer);
  return Certificate;
}

/** Lets an authority issue nothing any more; one that is gone is success. Its owner may undo that, or delete it. */
export async function disableAuthority(aws: AwsReach, arn: string): Promise<void> {
  try {
    const input = { CertificateAuthorityArn: arn, Status: 'DISABLED' };
    await call(aws, 'UpdateCertificateAuthority', input, z.unknown());
  } catch (error) {
    if (!isRekeyError(error) || !isAwsError(error.cause, ...GONE)) throw error;
  }
}

/** The authority that a reference of a bundle names, under the function's own role; undefined where that is a key of KMS. */
export function privateAuthorityOf(aws: AwsReach, ref: string): PrivateAuthority | undefined {
  return OF_PRIVATE_CA.test(ref) ? privateAuthority(aws, ref) : undefined;
}

/** The authority of that ARN, under the function's own role. */
export function privateAuthority(aws: AwsReach, authorityArn: string): PrivateAuthority {
  return {
    async ask({ id, csr, token, notBefore, notAfter }) {
      const answer = z.object({ CertificateArn: z.string().min(1) });
      const { CertificateArn } = await call(
        aws,
        'IssueCertificate',
        {
          CertificateAuthorityArn: authorityArn,
          Csr: Buffer.from(csr).toString('base64'),
          SigningAlgorithm: 'SHA256WITHECDSA',
          TemplateArn: authorityArn.replace(/^(arn:[^:]*:acm-pca:).*$/, `$1::${TEMPLATE}`),
          Validity: absolute(notAfter),
          ValidityNotBefore: absolute(notBefore),
          IdempotencyToken: token,
          ApiPassthrough: {
            Subject: { Organization: 'Rekey' },
            Extensions: { SubjectAlternativeNames: [{ UniformResourceIdentifier: id }] },
          },
        },
        answer,
      );
      return CertificateArn;
    },
    async certificate(arn) {
      const input = { CertificateAuthorityArn: authorityArn, CertificateArn: arn };
      const answer = z.object({ Certificate: z.string() });
      for (let waited = 0, next = FIRST_LOOK_MS; ; waited += next, next *= 1.5) {
        try {
          return (await call(aws, 'GetCertificate', input, answer)).Certificate;
        } catch (error) {
          if (!isRekeyError(error) || !isAwsError(error.cause, 'RequestInProgressException')) throw error;
          if (waited + next > ISSUED_WITHIN_MS) throw takesLong(error);
          await pause(next);
        }
      }
    },
    tellsBy: async () => (await describeAuthority(aws, authorityArn))?.tellsBy ?? [],
    async revoke(serial) {
      const input = {
        CertificateAuthorityArn: authorityArn,
        // As openssl and AWS write it.
        CertificateSerial: serial.replaceAll(/..(?!$)/g, '$&:'),
        RevocationReason: 'UNSPECIFIED',
      };
      try {
        await call(aws, 'RevokeCertificate', input, z.unknown());
      } catch (error) {
        if (!isRekeyError(error) || !isAwsError(error.cause, 'RequestAlreadyProcessedException')) throw error;
      }
    },
  };
}

function absolute(at: Instant): { readonly Type: string; readonly Value: number } {
  return { Type: 'ABSOLUTE', Value: Math.floor(fromInstant(at) / 1000) };
}

async function call<T>(aws: AwsReach, operation: string, input: object, answer: z.ZodType<T>): Promise<T> {
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': `ACMPrivateCA.${operation}`,
  };
  const request = { path: '/', method: 'POST', headers, body: JSON.stringify(input) };
  try {
    const { text } = await aws.request('acm-pca', request);
    return answer.parse(text === '' ? {} : JSON.parse(text));
  } catch (error) {
    if (!(error instanceof AwsServiceError)) throw error;
    throw refusal(operation, error);
  }
}

function refusal(operation: string, error: AwsServiceError): RekeyError {
  const refused = (code: ErrorCode, message: string, remedy: string, field?: string): RekeyError =>
    new RekeyError(code, message, { remedy, cause: error, ...(field === undefined ? {} : { field }) });
  if (error.name === 'AccessDeniedException') {
    const remedy = 'give the authority the tags that docs/providers/private-ca.md names';
    return refused('ERR_ADMIN_DENIED', `Rekey may not call acm-pca:${operation} for this authority`, remedy);
  }
  if (error.name === 'MalformedCSRException') {
    const remedy = 'make a P-256 key, and give the request a subject, which does not count';
    return refused('ERR_REQUEST', 'csr: AWS Private CA does not take it', remedy, 'csr');
  }
  if (BUSY.includes(error.name)) {
    const remedy = 'the same again in a moment is the same request';
    return refused('ERR_UNAVAILABLE', `AWS Private CA is still at it (${error.name})`, remedy);
  }
  // For good: what is on record of the key leads to nothing, so that whoever asked has to let go of it.
  if (operation === 'GetCertificate' && error.name === 'RequestFailedException') {
    const remedy = 'make another key: this one has had its request';
    return refused('ERR_CONFLICT', 'csr: AWS Private CA has failed to issue its certificate', remedy, 'csr');
  }
  return refused(
    'ERR_REJECTED',
    `AWS Private CA refuses acm-pca:${operation} (${error.name})`,
    'look at the authority and its state (docs/providers/private-ca.md)',
  );
}

function takesLong(cause: unknown): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', 'AWS Private CA has not issued the certificate yet', {
    remedy: 'ask again with the same request: it gets the same certificate',
    cause,
  });
}
