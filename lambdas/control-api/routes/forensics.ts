import type { TraceAnswer } from '../../../shared/api/messages.ts';
import { incident as incidentName } from '../../../shared/api/messages/common.ts';
import { readerView, withoutCertificates } from '../../../shared/api/views.ts';
import { usesOf } from '../../../shared/domain/authentication.ts';
import { capabilitiesOf } from '../../../shared/domain/capabilities.ts';
import { toInstant, type Instant } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { TracedKey } from '../../../shared/domain/forensics/facts.ts';
import { trailOf, type Trail } from '../../../shared/domain/forensics/trail.ts';
import { clientOf } from '../../../shared/domain/pact.ts';
import { sightings } from '../../../shared/domain/readers.ts';
import type { AuditRecord } from '../../../shared/domain/audit.ts';
import type { Ledger } from '../../../shared/ports/ledger.ts';
import { notOfIncident, traceFamily } from '../family-forensics.ts';
import { familyEver, knownEver } from '../lookup.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';
import { seenBefore } from '../seen-before.ts';

/** `GET /v1/credentials/{name}/incidents/{incident}`: what the records and the head tell of an incident. */
export async function trace(call: Call, services: ControlServices): Promise<Done<TraceAnswer>> {
  const { ledger, readers, clock } = services;
  const incident = parse(incidentName, call.params[1] ?? '');
  const family = await familyEver(services.families, call.params[0] ?? '');
  if (family !== undefined) return { status: 200, body: await traceFamily(services, family, incident) };
  const credential = await knownEver(ledger, call.params[0] ?? '');
  const records: AuditRecord[] = [];
  for await (const record of ledger.records(credential.id)) records.push(record);
  const { name, type, provider, policy } = credential;
  const trail = trailOf(records, incident, {
    isMadeHere: capabilitiesOf(type, provider)?.canCreate === true,
    head: credential,
    now: toInstant(clock()),
  });
  if (trail.moments.length === 0) throw notOfIncident(credential.name, incident);
  const { access, sensitivity } = policy;
  return {
    status: 200,
    body: {
      incident,
      credential: {
        id: credential.id,
        name,
        type,
        provider,
        access,
        sensitivity,
        opens: opensOf(credential),
      },
      ...(credential.incident?.id === incident ? { stage: credential.incident.stage } : {}),
      ...trail,
      keys: await Promise.all(trail.keys.map((key) => withVersions(key, credential, ledger))),
      moments: [...trail.moments],
      holes: [...trail.holes],
      holders: await Promise.all(credential.holders.map((holder) => holderOf(credential, holder, services))),
      seenBefore: await seenBefore(services, credential.id, exposedFrom(trail)),
      readers: sightings(await readers.of(credential.secretName), credential.holders).map(readerView),
    },
  };
}

/** When the oldest of its values was made; where that isn't known, the first record. */
function exposedFrom({ keys, since }: Trail): Instant {
  return keys.map(({ madeAt = since }) => madeAt).toSorted()[0] ?? since;
}

/** The records name the versions of rotations; that of the first value stands with its fingerprint. */
async function withVersions(
  key: TracedKey,
  { id, current }: Credential,
  ledger: Ledger,
): Promise<TraceAnswer['keys'][number]> {
  const own = (await ledger.byFingerprint(key.fingerprint)).filter((each) => each.credentialId === id);
  const keys = current?.fingerprint === key.fingerprint ? [...own, current] : own;
  return {
    ...key,
    versionIds: [...new Set([...key.versionIds, ...keys.map(({ versionId }) => versionId)])],
  };
}

async function holderOf(
  credential: Credential,
  { name, kind }: Credential['holders'][number],
  { agents }: ControlServices,
): Promise<TraceAnswer['holders'][number]> {
  if (clientOf(credential, name) === undefined) return { name, kind };
  const [pact, sessions] = await Promise.all([agents.pact(name), agents.sessions(name)]);
  const delegates = pact?.credentials.find((each) => each.credential === credential.name)?.delegates ?? [];
  return { name, kind, uses: usesOf(pact, credential.name, sessions), delegates: [...delegates] };
}

/** Where it lives and what it opens, in the order of the declaration; nothing of a target is secret. */
function opensOf({ target }: Credential): TraceAnswer['credential']['opens'] {
  const told = withoutCertificates(target);
  const entries = typeof told === 'object' && told !== null ? Object.entries(told) : [];
  return entries.map(([name, value]) => ({
    name,
    value: typeof value === 'string' ? value : JSON.stringify(value),
  }));
}
