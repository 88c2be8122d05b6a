import { isIP } from 'node:net';
import * as z from 'zod';
import { toInstant } from './clock.ts';
import { harmless } from './readers.ts';
import type { UpstreamUse } from './upstream-use.ts';

/** A call that was made with an access key of an IAM user, as CloudTrail tells of it. */
export interface CloudCall extends Omit<UpstreamUse, 'credentialId'> {
  readonly keyId: string;
  /** Name of the user in IAM, of the deployment's own account. */
  readonly user: string;
}

/** Why a record is no such call. */
export type NoCall =
  /** Not in the form that CloudTrail documents. */
  | 'malformed'
  /** Not with the long-lived key of a user: a session, a role, a service. */
  | 'no-key'
  /** With a key of another account's user. */
  | 'elsewhere';

const text = z.string().max(2048);
const optionalText = text.nullish();

/** As much of a record as is looked at; what is unknown is let be, since CloudTrail adds fields. */
const cloudTrailRecord = z.object({
  eventSource: z.string().regex(/^[a-z0-9.-]{1,128}\.amazonaws\.com(\.cn)?$/),
  eventName: z.string().regex(/^\w{1,128}$/),
  // CloudTrail's one form: other years could not be reckoned with.
  eventTime: z.string().regex(/^2\d{3}-\d{2}-\d{2}T[\d:.]{8,15}Z$/),
  errorCode: optionalText,
  sourceIPAddress: optionalText,
  userIdentity: z.object({
    type: text,
    arn: optionalText,
    accountId: optionalText,
    accessKeyId: optionalText,
    userName: optionalText,
  }),
});

/** AWS did not take the key itself; every other error means that it was taken, and something else was not. */
const NOT_TAKEN: ReadonlySet<string> = new Set([
  'AuthFailure',
  'IncompleteSignature',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);
const DENIED = /AccessDenied|Unauthorized|NotAuthorized|Forbidden/;

/** The call that a record of CloudTrail tells of, or why it tells of none. Pure, and total: a record may be anything. */
export function callOf(input: unknown, { account }: { readonly account: string }): CloudCall | NoCall {
  const { data } = cloudTrailRecord.safeParse(input);
  const at = Date.parse(data?.eventTime ?? '');
  if (data === undefined || Number.isNaN(at)) return 'malformed';
  const { type, arn, accountId, accessKeyId, userName } = data.userIdentity;
  if (type !== 'IAMUser' || !/^AKIA[A-Z0-9]{12,124}$/.test(accessKeyId ?? '')) return 'no-key';
  if (accountId !== account) return 'elsewhere';
  if (!/^[\w+=,.@-]{1,64}$/.test(userName ?? '')) return 'malformed';
  const seen = toInstant(at);
  const address = addressIn(data.sourceIPAddress);
  return {
    source: 'cloudtrail',
    keyId: accessKeyId ?? '',
    user: userName ?? '',
    who: harmless(arn ?? userName ?? '', 256),
    ...(address === undefined ? {} : { address }),
    scope: scopeOf(data),
    outcome: NOT_TAKEN.has(leafOf(data.errorCode)) ? 'refused' : 'worked',
    from: seen,
    to: seen,
  };
}

/** When a record says that what it tells of has been, whatever that is; undefined where it is none. */
export function eventTimeOf(input: unknown): number | undefined {
  const { data } = z.object({ eventTime: cloudTrailRecord.shape.eventTime }).safeParse(input);
  const at = Date.parse(data?.eventTime ?? '');
  return Number.isNaN(at) ? undefined : at;
}

/** `s3:ListBuckets`; what a policy has refused touched nothing, and says so. */
function scopeOf({ eventSource, eventName, errorCode }: z.infer<typeof cloudTrailRecord>): string {
  const service = eventSource.split('.')[0] ?? '';
  return `${service}:${eventName}${DENIED.test(errorCode ?? '') ? ' (denied)' : ''}`;
}

/** `Client.UnauthorizedOperation` of EC2 has its sort in front. */
function leafOf(errorCode: string | null | undefined): string {
  return (errorCode ?? '').split('.').at(-1) ?? '';
}

/** An address, or the service of AWS that has called for somebody. */
function addressIn(given: string | null | undefined): string | undefined {
  const address = given ?? '';
  return isIP(address) !== 0 || /^[a-z0-9.-]{1,64}\.amazonaws\.com$/.test(address) ? address : undefined;
}
