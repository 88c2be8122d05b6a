import * as z from 'zod';
import { toInstant } from './clock.ts';
import type { Reader, SeenReader } from './readers.ts';

/** Where a deployment is, and which secrets are of interest to it. */
export interface ReadScope {
  readonly account: string;
  readonly region: string;
  /** What the names of the secrets begin with. */
  readonly prefixes: readonly string[];
  /** What the names of the deployment's own roles begin with: Rekey is no holder. */
  readonly ownRoles: readonly string[];
}

/** Why a record is no read that counts. */
export type NoRead =
  /** Not in the form that CloudTrail documents. */
  | 'malformed'
  /** Refused: nothing was read. */
  | 'refused'
  /** Of a secret that isn't this deployment's, by account, region or name. */
  | 'elsewhere'
  /** By a role of the deployment itself. */
  | 'own'
  /** By somebody whom the record doesn't name. */
  | 'nameless';

/** A read of a secret by its name. */
export interface Read {
  readonly secret: string;
  readonly reader: SeenReader;
  /** The record itself: CloudTrail may deliver it twice. */
  readonly id: string;
  /** Where it came from: an address, or the name of a service of AWS. */
  readonly address?: string;
}

const text = z.string().max(2048);
const optionalText = text.nullish();
const account = z.string().regex(/^\d{12}$/);
const PRINCIPAL = /^arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]{1,576}$/;

/** As much of a record as is looked at; what is unknown is let be, since CloudTrail adds fields. */
const cloudTrailRecord = z.object({
  eventSource: z.literal('secretsmanager.amazonaws.com'),
  // BatchGetSecretValue leaves one of these for each secret, besides a record of its own that names none.
  eventName: z.literal('GetSecretValue'),
  // CloudTrail's one form: other years could not be reckoned with.
  eventTime: z.string().regex(/^2\d{3}-\d{2}-\d{2}T[\d:.]{8,15}Z$/),
  errorCode: optionalText,
  eventID: optionalText,
  sourceIPAddress: optionalText,
  userAgent: optionalText,
  sessionCredentialFromConsole: optionalText,
  requestParameters: z.object({ secretId: text, versionId: optionalText, versionStage: optionalText }),
  userIdentity: z.object({
    type: text,
    arn: optionalText,
    accountId: account.nullish(),
    invokedBy: optionalText,
    sessionContext: z
      .object({
        sessionIssuer: z.object({ arn: optionalText }).nullish(),
        attributes: z.object({ mfaAuthenticated: optionalText }).nullish(),
      })
      .nullish(),
    inScopeOf: z.object({ issuerType: optionalText, credentialsIssuedTo: optionalText }).nullish(),
  }),
});
type CloudTrailRecord = z.infer<typeof cloudTrailRecord>;

/**
 * The read that a record of CloudTrail tells of, or why it tells of none. Pure, and total: a record may be anything.
 * Only what AWS itself vouches for makes a reader: whoever assumes a role chooses the session's name and the user agent. A
 * person's session is kept all the same, to tell who has seen a value (docs/adr/044).
 */
export function readOf(input: unknown, scope: ReadScope): Read | NoRead {
  const { data } = cloudTrailRecord.safeParse(input);
  const at = Date.parse(data?.eventTime ?? '');
  if (data === undefined || Number.isNaN(at)) return 'malformed';
  if (data.errorCode !== undefined && data.errorCode !== null) return 'refused';
  const secret = secretName(data.requestParameters.secretId, scope);
  if (secret === undefined || !scope.prefixes.some((prefix) => secret.startsWith(prefix))) return 'elsewhere';
  const who = readerOf(data, scope);
  if (who === undefined) return 'nameless';
  if (isOwn(who.principal, scope)) return 'own';
  const seen = toInstant(at);
  return {
    secret,
    reader: { ...who, ...versionOf(data), firstSeen: seen, lastSeen: seen },
    id: data.eventID ?? seen,
    ...(data.sourceIPAddress == null ? {} : { address: data.sourceIPAddress }),
  };
}

/** By name, by ARN, or by an ARN without the six characters that Secrets Manager adds. */
function secretName(id: string, { account: own, region }: ReadScope): string | undefined {
  const [, , service, where, whose, kind, ...rest] = id.split(':');
  const name = id.startsWith('arn:') ? rest.join(':').replace(/-[A-Za-z0-9]{6}$/, '') : id;
  if (!/^[A-Za-z0-9/_+=.@-]{1,512}$/.test(name)) return undefined;
  if (!id.startsWith('arn:')) return name;
  const here = service === 'secretsmanager' && where === region && whose === own && kind === 'secret';
  return here ? name : undefined;
}

function readerOf(data: CloudTrailRecord, scope: ReadScope): Reader | undefined {
  const { type, arn, accountId, invokedBy } = data.userIdentity;
  if (type === 'AWSService')
    return /^[a-z0-9.-]{1,128}$/.test(invokedBy ?? '') ? service(invokedBy) : undefined;
  // A reader of another account shows to the owner of the secret without its name.
  if (accountId !== undefined && accountId !== null && accountId !== scope.account) return other(accountId);
  if (type === 'Root' || type === 'IdentityCenterUser')
    return { kind: 'person', principal: root(scope.account) };
  const principal = data.userIdentity.sessionContext?.sessionIssuer?.arn ?? roleOfSession(arn) ?? arn ?? '';
  if (!PRINCIPAL.test(principal)) return undefined;
  if (isPerson(data, principal)) return { kind: 'person', principal, ...namedBy(arn) };
  return principal.includes(':user/') ? { kind: 'user', principal } : workload(data, principal);
}

const root = (id: string): string => `arn:aws:iam::${id}:root`;
const other = (id: string): Reader => ({ kind: 'account', principal: root(id) });
const service = (name: string | null | undefined): Reader => ({ kind: 'service', principal: name ?? '' });

/** What runs under a role: as AWS says it, else as the session looks; a hint for the kind of the proof, no more. */
function workload({ userIdentity, userAgent }: CloudTrailRecord, principal: string): Reader {
  const { inScopeOf, arn } = userIdentity;
  const agent = userAgent ?? '';
  const session = arn?.split('/').at(-1) ?? '';
  if (inScopeOf?.issuerType === 'AWS::Lambda::Function') {
    const name = /:function:([\w-]{1,64})/.exec(inScopeOf.credentialsIssuedTo ?? '')?.[1];
    return { kind: 'lambda', principal, ...(name === undefined ? {} : { name }) };
  }
  if (inScopeOf?.issuerType === 'AWS::EC2::Instance') return { kind: 'ec2', principal };
  if (agent.includes('exec-env/AWS_Lambda_')) return { kind: 'lambda', principal };
  if (agent.includes('exec-env/AWS_ECS_')) return { kind: 'ecs', principal };
  // The session of a task is named by the task's id. Not the code in it: then ECS, which reads for a task that starts.
  if (/^[0-9a-f]{32}$/.test(session)) return { kind: 'ecs-start', principal };
  if (/^i-[0-9a-f]{8,17}$/.test(session)) return { kind: 'ec2', principal };
  return { kind: 'role', principal };
}

function isPerson(
  { userIdentity, sessionCredentialFromConsole }: CloudTrailRecord,
  principal: string,
): boolean {
  return (
    principal.includes(':role/aws-reserved/sso.amazonaws.com/') ||
    sessionCredentialFromConsole === 'true' ||
    userIdentity.sessionContext?.attributes?.mfaAuthenticated === 'true'
  );
}

/** The session that a person has taken a role with, as far as it is one: roles of people bind it to their own name. */
function namedBy(arn: string | null | undefined): Pick<Reader, 'name'> {
  const name = /:assumed-role\/[^/]+\/([\w+=,.@-]{2,64})$/.exec(arn ?? '')?.[1];
  return name === undefined ? {} : { name };
}

function roleOfSession(arn: string | null | undefined): string | undefined {
  const [, partition, id, role] = /^arn:([^:]+):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn ?? '') ?? [];
  return role === undefined ? undefined : `arn:${partition}:iam::${id}:role/${role}`;
}

function isOwn(principal: string, { account: own, ownRoles }: ReadScope): boolean {
  const [, , , , whose, role = ''] = principal.split(':');
  return whose === own && ownRoles.some((prefix) => role.startsWith(`role/${prefix}`));
}

function versionOf({ requestParameters: { versionId, versionStage } }: CloudTrailRecord): {
  version?: string;
} {
  const asked = versionId ?? versionStage;
  if (asked === undefined || asked === null || asked === 'AWSCURRENT') return {};
  return /^[\w/+=.@-]{1,256}$/.test(asked) ? { version: asked } : {};
}
