import { bundlePem, isAuthority, issuingOf, leafTarget } from '../../domain/bundle.ts';
import { renewAt, validityOf } from '../../domain/certificate.ts';
import { fromInstant, toInstant, type Clock, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Holder } from '../../domain/holders.ts';
import { MAX_LEAVES_AN_HOUR, repeated, type Leaf } from '../../domain/leaf.ts';
import { assertInService } from '../../domain/pact.ts';
import { isPrincipal } from '../../domain/principal.ts';
import { agentId } from '../../domain/spiffe.ts';
import type { AgentStore } from '../../ports/agents.ts';
import type { DirectoryReads } from '../../ports/directory.ts';
import type { Leaves } from '../../ports/leaves.ts';
import type { Ledger } from '../../ports/ledger.ts';
import { authorityOf, newSerial } from '../../x509/certificates.ts';
import { parseRequest } from '../../x509/request.ts';
import { makeCertificate, type MakingDeps } from './make.ts';

/** What issuing certificates works with. It reads the ledger and the bundle, and writes neither. */
export interface IssuingDeps extends MakingDeps {
  readonly ledger: Pick<Ledger, 'credential' | 'idByName'>;
  readonly directory: DirectoryReads;
  readonly leaves: Leaves;
  readonly agents: Pick<AgentStore, 'pact'>;
  readonly clock: Clock;
}

/** A request for a certificate: by whom, of which authority, for which key. */
export interface CertificateWish {
  /** ARN that API Gateway authenticated. */
  readonly caller: string;
  /** Name of the credential that is the certificate authority. */
  readonly credential: string;
  /** Which of the caller's agents, where several run under one role. */
  readonly agent?: string | undefined;
  readonly instance?: string | undefined;
  /** PKCS#10, as PEM. */
  readonly csr: string;
}

/** A certificate with what its holder has to know of it. */
export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string;
  /** What to trust, as PEM. */
  readonly bundle: string;
  readonly leaf: Leaf;
  readonly renewAt: Instant;
}

/**
 * Issues a certificate to an agent. Who it is for follows from the caller; of the request only the key counts. It is on record
 * before it is signed, and the same request again gives the same certificate.
 * @throws RekeyError ERR_FORBIDDEN, ERR_REQUEST, ERR_PROOF, ERR_CONFLICT, ERR_CAPACITY, ERR_UNAVAILABLE
 */
export async function issueCertificate(deps: IssuingDeps, wish: CertificateWish): Promise<IssuedCertificate> {
  const { credential, holder } = await askerOf(deps, wish);
  assertInService(await deps.agents.pact(holder.name));
  const target = leafTarget.parse(credential.target);
  const id = agentId(target.trustDomain, holder.name, wish.instance);
  const key = parseRequest(wish.csr);
  const set = await deps.directory.read({ kind: 'bundles', name: target.name });
  const issuing = issuingOf(set, credential.current?.handle.id);
  const authority = authorityOf(issuing.certificate);
  const now = deps.clock();
  const validity = validityOf({
    now,
    lifeSeconds: target.leafSeconds,
    skewSeconds: target.clockSkewSeconds,
    issuerEndsAt: authority.notAfter,
  });
  const leaf = await recorded(deps, target.name, {
    ...validity,
    serial: newSerial(),
    id,
    fingerprint: key.fingerprint,
    authority: issuing.id,
    agent: holder.name,
    caller: wish.caller,
    issuedAt: toInstant(now),
  });
  const { csr } = wish;
  const made = await makeCertificate(deps, { set: target.name, issuing, authority, leaf, key, csr });
  return {
    certificate: made.certificate,
    bundle: set === undefined ? '' : bundlePem(set, now),
    leaf: { ...leaf, serial: made.serial },
    renewAt: renewAt(fromInstant(leaf.issuedAt), leaf),
  };
}

/**
 * The agent that asks, a declared holder of whichever kind by its principal, and the authority that it may ask. Nobody else
 * learns what there is.
 */
async function askerOf(
  { ledger }: IssuingDeps,
  { caller, credential: name, agent }: CertificateWish,
): Promise<{ credential: Credential; holder: Holder }> {
  const id = await ledger.idByName(name);
  const credential = id === undefined ? undefined : await ledger.credential(id);
  const holders = (credential?.holders ?? []).filter(
    ({ name: holder, principal }) =>
      principal !== undefined && isPrincipal(caller, principal) && (agent === undefined || holder === agent),
  );
  const [holder, ...others] = holders;
  if (credential === undefined || !isAuthority(credential) || holder === undefined) {
    throw new RekeyError('ERR_FORBIDDEN', `the caller gets no certificates of "${name}"`, {
      field: 'credential',
      remedy: 'declare the agent as a holder of this certificate authority, with its role as principal',
    });
  }
  if (others.length > 0) {
    throw new RekeyError('ERR_REQUEST', 'agent: several agents run as this caller', {
      field: 'agent',
      remedy: `name one of them: ${holders.map((each) => each.name).join(', ')}`,
    });
  }
  return { credential, holder };
}

/** What is on record of this key: what it has had already, or this. */
async function recorded(deps: IssuingDeps, set: string, leaf: Leaf): Promise<Leaf> {
  const { leaves, clock } = deps;
  const known = await leaves.ofKey(set, leaf.fingerprint);
  if (known !== undefined) return repeated(known, leaf, clock());
  await leaves.count(set, leaf, MAX_LEAVES_AN_HOUR);
  try {
    await leaves.record(set, leaf);
    return leaf;
  } catch (error) {
    if (!isRekeyError(error, 'ERR_CONFLICT')) throw error;
    // Somebody has asked for the same at the same moment.
    const other = await leaves.ofKey(set, leaf.fingerprint);
    if (other === undefined) throw error;
    return repeated(other, leaf, clock());
  }
}
