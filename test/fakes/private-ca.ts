import { randomUUID, X509Certificate } from 'node:crypto';
import type { PlayedService } from '../../local/gateway/played-service.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { AwsReach } from '../../shared/http/aws.ts';
import { TAG } from '../../shared/names.ts';
import { AwsModel } from '../support/aws-model.ts';
import { isSigned } from './aws-iam.ts';
import {
  certificateOf,
  listOf,
  newNumber,
  newRoot,
  requestIn,
  type Issue,
  type Issuer,
} from './private-ca-certificates.ts';
import { UpstreamServer, type Asked, type Reply } from './upstream.ts';

const REGION = 'eu-central-1';
const TEMPLATE = 'arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1';
const DAY_MS = 86_400_000;
const WEEK_SECONDS = 7 * 86_400;
/** How long the same token asks for the same certificate. */
const TOKEN_MS = 5 * 60_000;

/** An authority as AWS Private CA has it. */
export interface FakeAuthority extends Issuer {
  readonly arn: string;
  readonly type: 'ROOT' | 'SUBORDINATE';
  readonly keyAlgorithm: string;
  readonly usageMode: 'GENERAL_PURPOSE' | 'SHORT_LIVED_CERTIFICATE';
  /** Whether it carries the tags that let Rekey's roles reach it. */
  tagged: boolean;
  status: 'ACTIVE' | 'DISABLED' | 'DELETED' | 'PENDING_CERTIFICATE';
  tells: { readonly crl: boolean; readonly ocsp: boolean };
  /** Serial numbers that are revoked. */
  readonly revoked: Set<string>;
}

type Input = Partial<Issue> & Partial<Record<'CertificateArn' | 'CertificateSerial' | 'Status', string>>;

/** Errors that any operation may answer with, which the description of none has. */
const COMMON = ['AccessDeniedException', 'ValidationException', 'ThrottlingException'];

class Refusal extends Error {
  constructor(name: string) {
    // AWS quotes what it was sent; nothing of it may come out at the other end.
    super('quoted-by-the-upstream');
    this.name = name;
  }
}

/**
 * AWS Private CA as its API reference has it: authorities that issue in their own time, whose template for end entities decides
 * what a certificate is for, and takes name and subject from the request where the call says nothing. Requests over HTTP have to be
 * signed; behind the gateway of the local stack it is called as it is. What is asked and answered is held against AWS's own
 * description of the service.
 */
export class FakePrivateCa implements AsyncDisposable, PlayedService {
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
  /** In what a request or an answer differed from the description. */
  readonly violations: string[] = [];
  /** How many calls were held against it. */
  checked = 0;
  readonly #model = new AwsModel('acm-pca');
  readonly #certificates = new Map<string, Promise<string>>();
  readonly #asked = new Map<string, number>();
  readonly #tokens = new Map<string, { arn: string; at: number }>();
  readonly #role = { accessKeyId: 'ASIAROLEOFTHEFUNCTION', secretAccessKey: 'secret', sessionToken: 'token' };

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakePrivateCa> {
    const fake: { current?: FakePrivateCa } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.served(asked) ?? { status: 500 });
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
    const root = await newRoot(`Root ${arn.slice(-12)}`, this.clock() - DAY_MS, this.clock() + days * DAY_MS);
    const authority: FakeAuthority = {
      arn,
      type: 'ROOT',
      keyAlgorithm: 'EC_prime256v1',
      usageMode: 'SHORT_LIVED_CERTIFICATE',
      ...root,
      tagged: true,
      status: 'ACTIVE',
      tells: { crl: false, ocsp: false },
      revoked: new Set(),
      ...rest,
    };
    this.authorities.set(arn, authority);
    return authority;
  }

  /** The list that AWS would have written, in PEM. */
  async list(arn: string): Promise<string> {
    const authority = this.authorities.get(arn);
    if (authority === undefined) throw new Error(`there is no ${arn}`);
    return listOf(authority, [...authority.revoked]);
  }

  tagsOf(resource: string): Readonly<Record<string, string>> {
    const isTagged = this.authorities.get(resource)?.tagged === true;
    return isTagged ? { [TAG.type]: 'certificate-authority', [TAG.stage]: 'local' } : {};
  }

  /** An operation, as it is called behind the gateway. */
  async answer(
    operation: string,
    input: object,
  ): Promise<{ readonly status: number; readonly body: object }> {
    this.checked++;
    this.violations.push(...this.#model.differences(operation, 'input', input));
    try {
      const body = await this.act(operation, input);
      this.violations.push(...this.#model.differences(operation, 'output', body));
      return { status: 200, body };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { name, message } = error;
      const isKnown = [...COMMON, ...this.#model.errorsOf(operation)].includes(name);
      if (!isKnown) this.violations.push(`${operation} has no ${name}`);
      return { status: 400, body: { __type: name, message } };
    }
  }

  private async served(asked: Asked): Promise<Reply> {
    const [service, operation = ''] = String(asked.headers['x-amz-target']).split('.');
    if (!isSigned(asked, this.#role.secretAccessKey, 'acm-pca') || service !== 'ACMPrivateCA')
      return { status: 400, body: { __type: 'InvalidSignatureException' } };
    return this.answer(operation, asked.body as object);
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
        const arn = input.CertificateArn ?? '';
        const pem = this.#certificates.get(arn);
        if (pem === undefined) throw new Refusal('ResourceNotFoundException');
        const asked = this.#asked.get(arn) ?? 0;
        this.#asked.set(arn, asked + 1);
        if (asked < this.slowness) throw new Refusal('RequestInProgressException');
        return { Certificate: await pem, CertificateChain: authority.certificate };
      }
      case 'RevokeCertificate':
        this.revoke(authority, input.CertificateSerial ?? '');
        return {};
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
    if (request === undefined) throw new Refusal('MalformedCSRException');
    const token = `${authority.arn}#${asked.IdempotencyToken ?? randomUUID()}`;
    const known = this.#tokens.get(token);
    if (known !== undefined && this.clock() < known.at + TOKEN_MS) return known.arn;
    const number = newNumber();
    const arn = `${authority.arn}/certificate/${number}`;
    this.#tokens.set(token, { arn, at: this.clock() });
    this.issues.push(asked);
    const pem = certificateOf(authority, request, this.twist?.(asked) ?? asked, number);
    this.#certificates.set(arn, pem);
    return arn;
  }

  /** By the number as openssl writes it. */
  private revoke({ arn, status, revoked }: FakeAuthority, serial: string): void {
    if (!/^[0-9a-f]{2}(?::[0-9a-f]{2})*$/i.test(serial)) throw new Refusal('InvalidRequestException');
    const number = serial.replaceAll(':', '').toLowerCase();
    if (!this.#certificates.has(`${arn}/certificate/${number}`))
      throw new Refusal('ResourceNotFoundException');
    if (!['ACTIVE', 'DISABLED'].includes(status)) throw new Refusal('InvalidStateException');
    if (revoked.has(number)) throw new Refusal('RequestAlreadyProcessedException');
    revoked.add(number);
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

function described(authority: FakeAuthority): object {
  const { arn, status, type, keyAlgorithm, usageMode, certificate, tells } = authority;
  const ends = new X509Certificate(certificate).validToDate.getTime() / 1000;
  return {
    Arn: arn,
    Status: status,
    Type: type,
    UsageMode: usageMode,
    ...(status === 'PENDING_CERTIFICATE' ? {} : { NotAfter: ends }),
    CertificateAuthorityConfiguration: {
      KeyAlgorithm: keyAlgorithm,
      SigningAlgorithm: 'SHA256WITHECDSA',
      Subject: { Organization: 'Shop' },
    },
    RevocationConfiguration: {
      CrlConfiguration: { Enabled: tells.crl },
      OcspConfiguration: { Enabled: tells.ocsp },
    },
  };
}
