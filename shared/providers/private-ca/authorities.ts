import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import type { AuthorityDocument } from '../../domain/bundle.ts';
import { validityOf } from '../../domain/certificate.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from '../../domain/clock.ts';
import type { DirectorySet, Fresh } from '../../domain/directory.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import { agentId } from '../../domain/spiffe.ts';
import type { AwsReach } from '../../http/aws.ts';
import { authorityCertificate, describeAuthority, privateAuthority } from '../../http/private-ca.ts';
import { authorityOf, newSerial } from '../../x509/certificates.ts';
import { leafAsWanted } from '../../x509/issued.ts';
import { requestFor } from '../../x509/request.ts';
import type { Made } from '../identity/steps.ts';
import type { Claims } from '../provider.ts';
import { idOf } from '../x509/authority.ts';
import type { PrivateCaMaterial, PrivateCaTarget } from './material.ts';

/** How long what a proof signs is good for. */
const PROOF_SECONDS = 60;

/** An authority of a target that no rotation has taken or published, and what stands in its way; none where it may be taken. */
interface Spare {
  readonly arn: string;
  readonly obstacle?: string;
}

/** The authorities of a target that are in no set yet, in their order. */
async function* sparesOf(
  aws: AwsReach,
  { authorities }: PrivateCaTarget,
  set: Pick<DirectorySet, 'entries'> | undefined,
  lastsUntil: Instant,
): AsyncGenerator<Spare> {
  const taken = new Set(set?.entries.map(({ ref }) => ref));
  for (const arn of authorities.filter((each) => !taken.has(each))) {
    const obstacle = await obstacleOf(aws, arn, lastsUntil);
    yield { arn, ...(obstacle === undefined ? {} : { obstacle }) };
  }
}

/** Why an authority can't be taken. One that isn't its own root would have verifiers trust all that its root has signed. */
async function obstacleOf(aws: AwsReach, arn: string, lastsUntil: Instant): Promise<string | undefined> {
  const found = await describeAuthority(aws, arn);
  if (found === undefined) return 'it is not there';
  const { status, type, keyAlgorithm, notAfter } = found;
  if (status !== 'ACTIVE') return `its status is ${status}`;
  if (type !== 'ROOT') return 'it is not a root';
  if (keyAlgorithm !== 'EC_prime256v1') return `its key is ${keyAlgorithm}, not EC_prime256v1`;
  if (notAfter === undefined || fromInstant(notAfter) < fromInstant(lastsUntil))
    return `it has to last until ${lastsUntil} and ends at ${notAfter}`;
  return undefined;
}

/** Under what an authority is taken. */
export interface Taking {
  readonly set: DirectorySet;
  /** What is taken in the same write. */
  readonly besides: Fresh | undefined;
  readonly lastsUntil: Instant;
  readonly claims: Claims;
  readonly token: string;
  readonly generation: number;
}

/**
 * The first authority that may be taken. It is claimed in the ledger before anybody is told of it: it signs for one credential
 * alone, in however many it is declared.
 * @throws RekeyError ERR_CAPACITY where there is none
 */
export async function nextAuthority(
  aws: AwsReach,
  target: PrivateCaTarget,
  { set, besides, lastsUntil, claims, token, generation }: Taking,
): Promise<Made> {
  const taken = { entries: [...set.entries, ...(besides === undefined ? [] : [{ ...besides, ...UNUSED }])] };
  const obstacles: string[] = [];
  for await (const { arn, obstacle } of sparesOf(aws, target, taken, lastsUntil)) {
    // An ARN is no secret, and names itself.
    const isOurs = async () => (await claims.inherit({ fingerprint: arn, token, generation })).own;
    if (obstacle === undefined && (await isOurs())) return publishable(aws, arn);
    obstacles.push(`${arn}: ${obstacle ?? TAKEN}`);
  }
  throw new RekeyError('ERR_CAPACITY', ['no certificate authority is left', ...obstacles].join('; '), {
    field: 'target.authorities',
    remedy: REFILL,
  });
}

/** What stands in the way of each spare authority; undefined where one may be taken. */
export async function obstaclesOf(
  aws: AwsReach,
  target: PrivateCaTarget,
  {
    set,
    lastsUntil,
    claims,
  }: Pick<Taking, 'lastsUntil' | 'claims'> & { readonly set: DirectorySet | undefined },
): Promise<readonly string[] | undefined> {
  const claimed = await claims.of(target.authorities);
  const others = new Set(claimed.flatMap(({ own, fingerprint }) => (own ? [] : [fingerprint])));
  const obstacles: string[] = [];
  for await (const { arn, obstacle } of sparesOf(aws, target, set, lastsUntil)) {
    const why = obstacle ?? (others.has(arn) ? TAKEN : undefined);
    if (why === undefined) return undefined;
    obstacles.push(`${arn}: ${why}`);
  }
  return obstacles;
}

const TAKEN = 'another credential has it';
const UNUSED = { state: 'next', publishedAt: toInstant(0) } as const;

/** What a person does about it. */
export const REFILL =
  'make another one in AWS Private CA, tag it, and append its ARN to target.authorities (docs/providers/private-ca.md)';

/** What verifiers are told of an authority. What it has revoked AWS tells, where the authority is configured so. */
async function publishable(aws: AwsReach, authorityArn: string): Promise<Made> {
  const certificate = new X509Certificate(await authorityCertificate(aws, authorityArn)).toString();
  const document: AuthorityDocument = { certificate };
  const { notAfter } = authorityOf(certificate);
  return {
    fresh: { id: idOf(certificate), document, ref: authorityArn, notAfter },
    secret: new Redacted(JSON.stringify({ certificate, authorityArn })),
  };
}

/**
 * Has the authority issue a leaf for a key that is thrown away, and checks that as a verifier does, by the published bundle.
 * @throws RekeyError ERR_REJECTED
 */
export async function proveAuthority(
  aws: AwsReach,
  { trustDomain, clockSkewSeconds: skewSeconds }: PrivateCaTarget,
  { certificate, authorityArn }: PrivateCaMaterial,
  { bundle, now }: { readonly bundle: readonly X509Certificate[]; readonly now: number },
): Promise<void> {
  const authority = authorityOf(certificate);
  const own = new X509Certificate(certificate);
  if (!bundle.some(({ fingerprint256 }) => fingerprint256 === own.fingerprint256))
    throw rejected('verifiers are not told of it');
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = agentId(trustDomain, 'rekey-proof');
  const terms = { now, lifeSeconds: PROOF_SECONDS, skewSeconds, issuerEndsAt: authority.notAfter };
  const validity = validityOf(terms);
  const issuer = privateAuthority(aws, authorityArn);
  try {
    const arn = await issuer.ask({ id, csr: requestFor(privateKey), token: newSerial(), ...validity });
    leafAsWanted(await issuer.certificate(arn), authority, { id, publicKey, notAfter: validity.notAfter });
  } catch (error) {
    if (isRekeyError(error, 'ERR_UNAVAILABLE', 'ERR_ADMIN_DENIED')) throw error;
    throw rejected('what it issues is refused', error);
  }
}

/** Until when an authority has to last that is published now: as the next one, signing, late, and while what it has signed lives. */
export function neededUntil(now: number, intervalSeconds: number, soakSeconds: number): Instant {
  return plusSeconds(toInstant(now), 3 * intervalSeconds + soakSeconds);
}

function rejected(why: string, cause?: unknown): RekeyError {
  return new RekeyError('ERR_REJECTED', `the certificate authority does not work: ${why}`, {
    remedy:
      'somebody has changed the secret or the authority; look at it in AWS Private CA, then rotate again',
    ...(cause === undefined ? {} : { cause }),
  });
}
