import { randomBytes } from 'node:crypto';
import { textOf } from '../json.ts';
import type { CallKind } from './classify.ts';
import { protocolError, type WireAnswer } from './wire.ts';

type Input = Readonly<Record<string, unknown>>;

/** A user's credential of one service. */
interface ServiceCredential {
  readonly id: string;
  readonly secret: string;
  readonly user: string;
  readonly createdAt: number;
  readonly days: number | undefined;
  active: boolean;
}

/** The one service whose credentials are played; a user has two of it at most. */
const SERVICE = 'bedrock.amazonaws.com';
const MOST = 2;
const DAY_MS = 86_400_000;

/**
 * Plays the part of IAM that MiniStack lacks: credentials of one service, as which IAM keeps long-term keys of Amazon
 * Bedrock (API reference of IAM). MiniStack sees none of these calls, and so asks no role about them; the test of recorded
 * calls does.
 */
export class ServiceCredentials {
  readonly #users = new Set<string>();
  readonly #all = new Map<string, ServiceCredential>();

  /** Whether a value is that of a credential which is active and hasn't ended. */
  takes(secret: string): boolean {
    return [...this.#all.values()].some(
      (each) => each.secret === secret && each.active && endOf(each) > Date.now(),
    );
  }

  /** How many a user has. */
  countOf(user: string): number {
    return this.#of(user).length;
  }

  /** The answer to a call of IAM about them; undefined where it is about something else. */
  answer({ service, operation }: CallKind, input: Input = {}): WireAnswer | undefined {
    if (service !== 'iam') return undefined;
    const user = textOf(input['UserName']) ?? '';
    if (operation === 'CreateUser') this.#users.add(user);
    if (!operation.endsWith('ServiceSpecificCredential') && operation !== 'ListServiceSpecificCredentials')
      return undefined;
    if (!this.#users.has(user)) return refusal('NoSuchEntity', 404);
    const isNamed = operation === 'CreateServiceSpecificCredential' || 'ServiceName' in input;
    if (isNamed && input['ServiceName'] !== SERVICE) return refusal('ServiceNotSupported', 404);
    if (operation === 'ListServiceSpecificCredentials') {
      const members = this.#of(user).map((each) => `<member>${shown(each)}</member>`);
      const list = `<ServiceSpecificCredentials>${members.join('')}</ServiceSpecificCredentials>`;
      return result(operation, `${list}<IsTruncated>false</IsTruncated>`);
    }
    if (operation === 'CreateServiceSpecificCredential') return this.#create(user, input);
    const credential = this.#all.get(textOf(input['ServiceSpecificCredentialId']) ?? '');
    if (credential?.user !== user) return refusal('NoSuchEntity', 404);
    if (operation === 'DeleteServiceSpecificCredential') this.#all.delete(credential.id);
    else if (operation === 'UpdateServiceSpecificCredential')
      credential.active = input['Status'] === 'Active';
    else return refusal('InvalidAction', 400);
    return result(operation, '');
  }

  #create(user: string, input: Input): WireAnswer {
    if (this.#of(user).length >= MOST) return refusal('LimitExceeded', 409);
    const id = `ACCA${randomBytes(8).toString('hex').toUpperCase()}`;
    const secret = `ABSK${randomBytes(48).toString('base64')}`;
    const days = textOf(input['CredentialAgeDays']);
    const about = { createdAt: Date.now(), days: days === undefined ? undefined : Number(days) };
    const made = { id, secret, user, ...about, active: true };
    this.#all.set(id, made);
    const value = `<ServiceCredentialSecret>${secret}</ServiceCredentialSecret>`;
    return result(
      'CreateServiceSpecificCredential',
      `<ServiceSpecificCredential>${shown(made)}${value}</ServiceSpecificCredential>`,
    );
  }

  #of(user: string): ServiceCredential[] {
    return [...this.#all.values()].filter((each) => each.user === user);
  }
}

function endOf({ createdAt, days = Infinity }: ServiceCredential): number {
  return createdAt + days * DAY_MS;
}

function shown(credential: ServiceCredential): string {
  const { id, user, active, createdAt, days } = credential;
  const end = days === undefined ? '' : `<ExpirationDate>${stamp(endOf(credential))}</ExpirationDate>`;
  return (
    `<UserName>${user}</UserName><ServiceName>${SERVICE}</ServiceName>` +
    `<ServiceSpecificCredentialId>${id}</ServiceSpecificCredentialId>` +
    `<Status>${active ? 'Active' : 'Inactive'}</Status><CreateDate>${stamp(createdAt)}</CreateDate>${end}`
  );
}

/** IAM tells whole seconds. */
function stamp(time: number): string {
  return new Date(time).toISOString().replace(/\.\d{3}/, '');
}

function result(operation: string, inner: string): WireAnswer {
  const id = crypto.randomUUID();
  const metadata = `<ResponseMetadata><RequestId>${id}</RequestId></ResponseMetadata>`;
  const part = inner === '' ? '' : `<${operation}Result>${inner}</${operation}Result>`;
  return {
    status: 200,
    headers: { 'content-type': 'text/xml', 'x-amzn-requestid': id },
    body: Buffer.from(`<${operation}Response>${part}${metadata}</${operation}Response>`),
  };
}

function refusal(code: string, status: number): WireAnswer {
  return protocolError('iam', true, code, 'Refused by the local gateway, as IAM refuses it.', status);
}
