import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { AwsServiceError, isAwsError, type AwsReach, type CallOptions } from '../../http/aws.ts';

/** Services of the AWS Query protocol: a form goes out, XML comes back. */
const VERSIONS = { iam: '2010-05-08', sts: '2011-06-15' } as const;

/** An operation with its parameters. */
export interface Operation {
  readonly service: keyof typeof VERSIONS;
  readonly action: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** An operation's answer as XML. @throws AwsServiceError, RekeyError ERR_UNAVAILABLE */
export async function query(
  aws: AwsReach,
  { service, action, parameters = {} }: Operation,
  options?: CallOptions,
): Promise<string> {
  const form = new URLSearchParams({ Action: action, Version: VERSIONS[service], ...parameters });
  const { text } = await aws.request(
    service,
    {
      method: 'POST',
      path: '/',
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: form.toString(),
    },
    options,
  );
  return text;
}

/** All members of a list that comes in pages. */
export async function queryAll<T>(
  aws: AwsReach,
  operation: Operation,
  read: (page: string) => readonly T[],
): Promise<T[]> {
  const all: T[] = [];
  for (let marker: string | undefined; ;) {
    const parameters = { ...operation.parameters, ...(marker === undefined ? {} : { Marker: marker }) };
    const page = await query(aws, { ...operation, parameters });
    all.push(...read(page));
    const next = textOf(page, 'Marker');
    if (textOf(page, 'IsTruncated') !== 'true' || next === undefined || next === marker) return all;
    marker = next;
  }
}

/**
 * What stands in the elements called `name`, in order. Enough for answers of this protocol, whose elements have no
 * attributes but the root's, and never hold one of their own name.
 */
export function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:/>|>([\\s\\S]*?)</${name}>)`, 'g'))].map(
    ([, inner = '']) => inner,
  );
}

/** The text of the first element called `name`. */
export function textOf(xml: string, name: string): string | undefined {
  const [inner] = elements(xml, name);
  return inner === undefined ? undefined : unescaped(inner);
}

/** The text that an element holds. */
export function unescaped(inner: string): string {
  return inner.replace(
    /&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi,
    (entity, decimal?: string, hex?: string, name = '') => {
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      return NAMED[String(name)] ?? entity;
    },
  );
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** Texts of an element as `shape` has them. @throws RekeyError ERR_UNAVAILABLE quoting nothing of the answer */
export function fieldsOf<S extends z.ZodRawShape>(xml: string, shape: S): z.infer<z.ZodObject<S>> {
  const texts = Object.fromEntries(Object.keys(shape).map((name) => [name, textOf(xml, name)]));
  const parsed = z.object(shape).safeParse(texts);
  if (parsed.success) return parsed.data;
  throw new RekeyError(
    'ERR_UNAVAILABLE',
    `AWS answers in another form than it documents (at "${parsed.error.issues[0]?.path.join('.') ?? ''}")`,
    { remedy: 'it is tried again; nothing of the answer is kept' },
  );
}

const DENIED = [
  'AccessDenied',
  'AccessDeniedException',
  'InvalidClientTokenId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
];
const LIMITS: Readonly<Record<string, string>> = {
  CreateAccessKey: 'a user has two access keys at most: delete one that nobody uses',
  CreateServiceSpecificCredential: 'a user has two keys for Bedrock at most: delete one that nobody uses',
  TagUser: 'a user has 50 tags at most: take one off that nobody needs',
  PutUserPolicy: 'inline policies of a user have 2,048 characters at most: make managed policies of them',
};

/** What IAM's refusal of a call under Rekey's own role means. Its message is left out: it may quote. */
export function refusalOf(error: unknown, action: string, user: string): unknown {
  if (isAwsError(error, ...DENIED)) {
    return new RekeyError('ERR_ADMIN_DENIED', `Rekey may not call iam:${action} for the user ${user}`, {
      field: 'target.user',
      remedy:
        'look whether there is such a user in this account, and tag it for this deployment (docs/providers/aws-iam.md); ' +
        'then look for a deny in the policies of the organisation',
      cause: error,
    });
  }
  if (isAwsError(error, 'NoSuchEntity')) {
    return new RekeyError(
      'ERR_NOT_FOUND',
      `IAM knows no user ${user} in this account, or no such key of it`,
      {
        field: 'target.user',
        remedy: 'declare the name of a user that exists, without its path',
        cause: error,
      },
    );
  }
  if (isAwsError(error, 'LimitExceeded')) {
    return new RekeyError('ERR_CAPACITY', `the user ${user} has no room for what iam:${action} adds`, {
      field: 'target.user',
      remedy: LIMITS[action] ?? 'look at the quotas of IAM',
      cause: error,
    });
  }
  if (!(error instanceof AwsServiceError)) return error;
  return new RekeyError('ERR_REJECTED', `IAM refuses iam:${action} for the user ${user} (${error.name})`, {
    field: 'target.user',
    remedy: 'look at the user in the console: the request is refused as it is',
    cause: error,
  });
}
