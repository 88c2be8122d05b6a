import {
  emergencyRequest,
  MAX_EMERGENCY,
  type EmergencyAnswer,
  type EmergencyStarted,
  type SelectionAnswer,
} from '../../../shared/api/messages.ts';
import { opensOf, serverOf } from '../../../shared/api/family-view.ts';
import { credentialView } from '../../../shared/api/views.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { inTime } from '../../../shared/engine/patience.ts';
import type { EmergencyInput } from '../../../shared/ports/workflow.ts';
import { LEDGER_LIMIT_MS, resolveForEmergency } from '../emergency.ts';
import { parse, type Call } from '../../http/request.ts';
import { selectForEmergency, type SelectedHere } from '../selection.ts';
import type { ControlServices, Done } from '../route.ts';

export async function startEmergency(
  call: Call,
  services: ControlServices,
): Promise<Done<EmergencyStarted | SelectionAnswer>> {
  const {
    credentials = [],
    select,
    dryRun,
    after,
    shown: wereShown,
    incident,
    reason,
    replace,
  } = parse(emergencyRequest, call.body());
  const selected = select === undefined ? undefined : await selectForEmergency(services, select);
  if (selected !== undefined && dryRun === true)
    return { status: 200, body: shown(selected, services, after) };
  const found =
    selected === undefined
      ? await resolveForEmergency(services.ledger, credentials, { wereShown })
      : taken(selected);
  const begun = await services.startEmergency({
    credentials: await typed(found.credentials, services),
    incidentId: incident,
    reason,
    actor: call.actor,
    replace,
    token: call.token,
  });
  const more = selected === undefined ? {} : { beside: besideOf(selected) };
  return {
    status: 202,
    body: { id: begun.id, credentials: [...begun.credentials], unresolved: found.unresolved, ...more },
  };
}

/** What a selection revokes now. */
function taken({ chosen }: SelectedHere) {
  return {
    credentials: chosen.map(({ credential: { id, type } }) => ({ credentialId: id, type })),
    unresolved: [],
  };
}

/** A page of what a selection comes to, in its order. @throws RekeyError ERR_CONFLICT where it has changed between two pages */
function shown(
  selected: SelectedHere,
  { clock }: ControlServices,
  after: string | undefined,
): SelectionAnswer {
  const { chosen } = selected;
  const last = after === undefined ? -1 : chosen.findIndex(({ credential }) => credential.id === after);
  if (after !== undefined && last === -1) {
    throw new RekeyError('ERR_CONFLICT', 'the selection has changed since its first page was shown', {
      field: 'after',
      remedy: 'leave it out, which begins with the first page; nothing was revoked',
    });
  }
  const page = chosen.slice(last + 1, last + 1 + MAX_EMERGENCY);
  const isLast = last + 1 + page.length === chosen.length;
  const next = isLast ? undefined : page.at(-1)?.credential.id;
  return {
    dryRun: true,
    selected: page.map(({ credential, why }) => ({
      credential: credentialView(credential, undefined, clock()),
      why: [...why],
    })),
    total: chosen.length,
    ...(next === undefined ? {} : { next }),
    ...besideOf(selected),
  };
}

function besideOf({ later, families, heads, unknown }: SelectedHere) {
  return {
    later: later.map(({ credential: { name } }) => name),
    families: [...families],
    familyDetails: heads.map((family) => ({
      id: family.id,
      name: family.name,
      provider: serverOf(family),
      opens: opensOf(family),
      holders: family.terms.holders.map(({ name }) => name),
    })),
    unknown: [...unknown],
  };
}

/** How long the snapshots of all may take, and how many are read at once: the ends of a thousand must not be left to one socket each. */
const TYPES_LIMIT_MS = 2000;
const SNAPSHOTS_AT_ONCE = 50;

/** Where the ledger is silent, a credential's snapshot tells its type, and with it whose function revokes it. */
async function typed(
  credentials: EmergencyInput['credentials'],
  { diagnosis }: ControlServices,
): Promise<EmergencyInput['credentials']> {
  const until = performance.now() + TYPES_LIMIT_MS;
  const types = new Map<string, string>();
  const queue = credentials.filter(({ type }) => type === undefined);
  const read = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined && performance.now() < until; next = queue.shift()) {
      const seen = await inTime(diagnosis.snapshot(next.credentialId), LEDGER_LIMIT_MS);
      const type = seen !== undefined && 'value' in seen ? seen.value?.type : undefined;
      if (type !== undefined) types.set(next.credentialId, type);
    }
  };
  await Promise.all(Array.from({ length: SNAPSHOTS_AT_ONCE }, read));
  return credentials.map(({ credentialId, type = types.get(credentialId) }) => ({
    credentialId,
    ...(type === undefined ? {} : { type }),
  }));
}

export async function showEmergency(
  { params: [id = ''] }: Call,
  services: ControlServices,
): Promise<Done<EmergencyAnswer>> {
  const found = await services.emergency(id);
  if (found === undefined) throw new RekeyError('ERR_NOT_FOUND', `no emergency "${id}"`);
  const { status, startedAt, endedAt, results } = found;
  const known = Array.isArray(results)
    ? results.filter((result) => typeof result === 'object' && result !== null)
    : [];
  return {
    status: 200,
    body: { id, status, startedAt, ...(endedAt === undefined ? {} : { endedAt }), results: known },
  };
}
