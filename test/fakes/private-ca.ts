import 'reflect-metadata';
import { createHash, randomBytes, randomUUID, X509Certificate, type webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate as Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { AwsReach } from '../../shared/http/aws.ts';
import { isSigned } from './aws-iam.ts';
import { UpstreamServer, type Asked, type Reply } from './upstream.ts';

const REGION = 'eu-central-1';
const OF_KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const TEMPLATE = 'arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1';
/** RFC 5280, section 4.2.1.6. */
const SUBJECT_ALT_NAME = '2.5.29.17';
const DAY_MS = 86_400_000;
const WEEK_SECONDS = 7 * 86_400;
/** How long the same token asks for the same certificate. */
const TOKEN_MS = 5 * 60_000;

/** An authority as AWS Private CA has it. */
export interface FakeAuthority {
  readonly arn: string;
  readonly type: 'ROOT' | 'SUBORDINATE';
  readonly keyAlgorithm: string;
  readonly usageMode: 'GENERAL_PURPOSE' | 'SHORT_LIVED_CERTIFICATE';
  readonly keys: webcrypto.CryptoKeyPair;
  /** PEM. */
  readonly certificate: string;
  /** Whether it carries the tags that let Rekey's roles reach it. */
  tagged: boolean;
  status: 'ACTIVE' | 'DISABLED' | 'DELETED' | 'PENDING_CERTIFICATE';
}

type Named = Readonly<Record<string, string>>;

interface Issue {
  readonly CertificateAuthorityArn: string;
  readonly Csr: string;
  readonly SigningAlgorithm: string;
  readonly TemplateArn?: string;
  readonly Validity: { readonly Type: string; readonly Value: number };
  readonly ValidityNotBefore?: { readonly Type: string; readonly Value: number };
  readonly IdempotencyToken?: string;
  readonly ApiPassthrough?: {
    readonly Subject?: Named;
    readonly Extensions?: { readonly SubjectAlternativeNames?: readonly Named[] };
  };
}

type Input = Partial<Issue> & Partial<Record<'CertificateArn' | 'Status', string>>;

class Refusal extends Error {
  constructor(name: string) {
    // AWS quotes what it was sent; nothing of it may come out at the other end.
    super('quoted-by-the-upstream');
    this.name = name;
  }
}

/**
 * AWS Private CA as its API reference has it: authorities that issue in their own time, whose template for end entities decides
 * what a certificate is for, and takes name and subject from the request where the call says nothing. Certificates are made by a
 * library that Rekey doesn't use for them; requests have to be signed.
 */
export class FakePrivateCa implements AsyncDisposable {
  readonly authorities = new Map<string, FakeAuthority>();
  readonly server: UpstreamServer;
  /** What was asked to be issued. */
  readonly issues: Issue[] = [];
  /** Operations that the function's role lacks. */
  readonly denied = new Set<string>();
  /** How often a certificate is asked for before it is there. */
  slowness = 1;
  /** Changes what is issued, as an authority of somebody else would. */
  twist: ((issue: Issue) => Issue) | undefined;
  clock = Date.now;
  readonly #certificates = new Map<string, { asked: number; readonly pem: Promise<string> }>();
  readonly #tokens = new Map<string, { arn: string; at: number }>();
  readonly #role = { accessKeyId: 'ASIAROLEOFTHEFUNCTION', secretAccessKey: 'secret', sessionToken: 'token' };

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakePrivateCa> {
    const fake: { current?: FakePrivateCa } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakePrivateCa(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** How a function calls it. */
  get aws(): AwsReach {
    const { url: endpoint } = this.server;
    return new AwsCalls({
      region: REGION,
      credentials: this.#role,
      endpoint,
      caller: 'test',
      timeoutMs: 2000,
    });
  }

  /** An authority that a person has made. */
  async add(changes: Partial<FakeAuthority> & { readonly days?: number } = {}): Promise<FakeAuthority> {
    const { days = 3650, ...rest } = changes;
    const arn = `arn:aws:acm-pca:${REGION}:111122223333:certificate-authority/${randomUUID()}`;
    const keys = await crypto.subtle.generateKey(OF_KEY, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(),
      name: [{ O: ['Shop'] }, { CN: [`Root ${arn.slice(-12)}`] }],
      notBefore: new Date(this.clock() - DAY_MS),
      notAfter: new Date(this.clock() + days * DAY_MS),
      signingAlgorithm: OF_KEY,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        new KeyUsagesExtension(
          KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature,
          true,
        ),
      ],
    });
    const authority: FakeAuthority = {
      arn,
      type: 'ROOT',
      keyAlgorithm: 'EC_prime256v1',
      usageMode: 'SHORT_LIVED_CERTIFICATE',
      keys,
      certificate: certificate.toString('pem'),
      tagged: true,
      status: 'ACTIVE',
      ...rest,
    };
    this.authorities.set(arn, authority);
    return authority;
  }

  private async answer(asked: Asked): Promise<Reply> {
    try {
      const target = String(asked.headers['x-amz-target']);
      if (!isSigned(asked, this.#role.secretAccessKey, 'acm-pca'))
        throw new Refusal('InvalidSignatureException');
      const [service, operation = ''] = target.split('.');
      if (service !== 'ACMPrivateCA') throw new Refusal('UnknownOperationException');
      return { status: 200, body: await this.act(operation, asked.body as Input) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { status: 400, body: { __type: error.name, message: error.message } };
    }
  }

  private async act(operation: string, input: Input): Promise<object> {
    const authority = this.authorities.get(input.CertificateAuthorityArn ?? '');
    if (this.denied.has(operation) || authority?.tagged === false) throw new Refusal('AccessDeniedException');
    if (authority === undefined) throw new Refusal('ResourceNotFoundException');
    switch (operation) {
      case 'DescribeCertificateAuthority':
        return { CertificateAuthority: described(authority) };
      case 'GetCertificateAuthorityCertificate':
        if (authority.status === 'PENDING_CERTIFICATE') throw new Refusal('InvalidStateException');
        return { Certificate: authority.certificate.trimEnd() };
      case 'UpdateCertificateAuthority':
        if (!['ACTIVE', 'DISABLED'].includes(authority.status)) throw new Refusal('InvalidStateException');
        authority.status = input.Status === 'DISABLED' ? 'DISABLED' : 'ACTIVE';
        return {};
      case 'IssueCertificate':
        return { CertificateArn: this.issue(authority, input as Issue) };
      case 'GetCertificate': {
        const found = this.#certificates.get(input.CertificateArn ?? '');
        if (found === undefined) throw new Refusal('ResourceNotFoundException');
        if (found.asked++ < this.slowness) throw new Refusal('RequestInProgressException');
        return { Certificate: await found.pem, CertificateChain: authority.certificate };
      }
      default:
        throw new Refusal('UnknownOperationException');
    }
  }

  private issue(authority: FakeAuthority, asked: Issue): string {
    if (authority.status !== 'ACTIVE') throw new Refusal('InvalidStateException');
    if (asked.TemplateArn !== TEMPLATE || asked.SigningAlgorithm !== 'SHA256WITHECDSA')
      throw new Refusal('InvalidArgsException');
    this.assertValidity(authority, asked);
    const request = requestIn(asked.Csr);
    const token = `${authority.arn}#${asked.IdempotencyToken ?? randomUUID()}`;
    const known = this.#tokens.get(token);
    if (known !== undefined && this.clock() < known.at + TOKEN_MS) return known.arn;
    const number = serial();
    const arn = `${authority.arn}/certificate/${number}`;
    this.#tokens.set(token, { arn, at: this.clock() });
    this.issues.push(asked);
    const pem = certificateOf(authority, request, this.twist?.(asked) ?? asked, number);
    this.#certificates.set(arn, { asked: 0, pem });
    return arn;
  }

  private assertValidity(
    { certificate, usageMode }: FakeAuthority,
    { Validity, ValidityNotBefore }: Issue,
  ): void {
    if (Validity.Type !== 'ABSOLUTE' || ValidityNotBefore?.Type !== 'ABSOLUTE')
      throw new Refusal('ValidationException');
    const { validToDate } = new X509Certificate(certificate);
    const seconds = Validity.Value - ValidityNotBefore.Value;
    if (Validity.Value * 1000 > validToDate.getTime() || seconds <= 0)
      throw new Refusal('ValidationException');
    if (usageMode === 'SHORT_LIVED_CERTIFICATE' && seconds > WEEK_SECONDS)
      throw new Refusal('ValidationException');
  }
}

function described({ arn, status, type, keyAlgorithm, usageMode, certificate }: FakeAuthority): object {
  const ends = new X509Certificate(certificate).validToDate.getTime() / 1000;
  return {
    Arn: arn,
    Status: status,
    Type: type,
    UsageMode: usageMode,
    ...(status === 'PENDING_CERTIFICATE' ? {} : { NotAfter: ends }),
    CertificateAuthorityConfiguration: { KeyAlgorithm: keyAlgorithm, SigningAlgorithm: 'SHA256WITHECDSA' },
  };
}

/** A request has to have a name, of one kind or the other, and a key of a kind that AWS knows. */
function requestIn(csr: string): Pkcs10CertificateRequest {
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(Buffer.from(csr, 'base64').toString());
  } catch {
    throw new Refusal('MalformedCSRException');
  }
  const isNamed = request.subject !== '' || request.getExtension(SUBJECT_ALT_NAME) !== null;
  const kind = request.publicKey.algorithm.name;
  if (!isNamed || !['ECDSA', 'RSASSA-PKCS1-v1_5'].includes(kind)) throw new Refusal('MalformedCSRException');
  return request;
}

/** By the template EndEntityCertificate_APIPassthrough: the call's name and subject go before the request's. */
async function certificateOf(
  { keys, certificate }: FakeAuthority,
  request: Pkcs10CertificateRequest,
  { ApiPassthrough = {}, Validity, ValidityNotBefore }: Issue,
  serialNumber: string,
): Promise<string> {
  const { Subject, Extensions } = ApiPassthrough;
  const given = Extensions?.SubjectAlternativeNames?.map((name) => ({
    type: 'url' as const,
    value: name['UniformResourceIdentifier'] ?? '',
  }));
  const names =
    given === undefined ? request.getExtension(SUBJECT_ALT_NAME) : new SubjectAlternativeNameExtension(given);
  const made = await X509CertificateGenerator.create({
    serialNumber,
    subject: Subject === undefined ? request.subjectName : [{ O: [Subject['Organization'] ?? ''] }],
    issuer: new Certificate(certificate).subjectName,
    notBefore: new Date((ValidityNotBefore?.Value ?? 0) * 1000),
    notAfter: new Date(Validity.Value * 1000),
    signingKey: keys.privateKey,
    signingAlgorithm: OF_KEY,
    publicKey: request.publicKey,
    extensions: [
      new BasicConstraintsExtension(false),
      await AuthorityKeyIdentifierExtension.create(keys.publicKey),
      await SubjectKeyIdentifierExtension.create(request.publicKey),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      ...(names === null ? [] : [names]),
    ],
  });
  return made.toString('pem');
}

function serial(): string {
  return createHash('sha256').update(randomBytes(16)).digest('hex').slice(0, 32).replace(/^./, '4');
}
