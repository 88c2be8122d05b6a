import {
  familyLeaving,
  familyRequest,
  familyRevocation,
  listQuery,
  pauseRequest,
  reasonRequest,
  type FamiliesAnswer,
  type FamilyAnswer,
  type FamilyApplied,
  type FamilyDiagnosis,
  type FamilyPaused,
} from '../../../shared/api/messages.ts';
import { familyView } from '../../../shared/api/family-view.ts';
import { parseFamily } from '../../../shared/domain/declaration.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Trigger } from '../../../shared/domain/rotation.ts';
import { parse, type Call } from '../../http/request.ts';
import { familyEver, triggerOf } from '../lookup.ts';
import type { ControlServices, Done } from '../route.ts';

const done = <T>(body: T, status: Done<T>['status'] = 200): Done<T> => ({ status, body });

export async function applyFamily(call: Call, services: ControlServices): Promise<Done<FamilyApplied>> {
  const { declaration, dryRun } = parse(familyRequest, call.body());
  const { outcome, changes, family } = await services.coordinator.apply({
    declaration: parseFamily(declaration),
    trigger: triggerOf(call.actor, undefined),
    dryRun,
  });
  const body = {
    outcome,
    dryRun,
    changes: [...changes],
    ...(family === undefined ? {} : { family: familyView(family) }),
  };
  return done(body, outcome === 'registered' && !dryRun ? 201 : 200);
}

export async function listFamilies(
  { query }: Call,
  { families }: ControlServices,
): Promise<Done<FamiliesAnswer>> {
  const { page } = parse(listQuery, query);
  const { items, next } = await families.families(page);
  return done({ families: items.map(familyView), ...(next === undefined ? {} : { next }) });
}

export async function showFamily(
  { params: [name = ''] }: Call,
  { families }: ControlServices,
): Promise<Done<FamilyAnswer>> {
  const found = await familyEver(families, name);
  if (found !== undefined) return done({ family: familyView(found) });
  throw new RekeyError('ERR_NOT_FOUND', `no token family "${name}"`, {
    remedy: '`rekey list` names them all',
  });
}

export async function diagnoseFamily(
  { params: [name = ''] }: Call,
  { coordinator }: ControlServices,
): Promise<Done<FamilyDiagnosis>> {
  const { checks } = await coordinator.diagnose(name);
  return done({ family: name, checks: [...checks] });
}

export async function refreshFamily(
  call: Call,
  { coordinator }: ControlServices,
): Promise<Done<FamilyAnswer>> {
  const { reason } = parse(reasonRequest, call.body());
  const { family } = await coordinator.refresh(asked(call, reason));
  return done({ family: familyView(family) });
}

export async function revokeFamily(
  call: Call,
  { coordinator }: ControlServices,
): Promise<Done<FamilyAnswer>> {
  const { incident, reason } = parse(familyRevocation, call.body());
  const { family } = await coordinator.revoke({ ...asked(call, reason), incidentId: incident });
  return done({ family: familyView(family) });
}

export async function pauseFamily(call: Call, { coordinator }: ControlServices): Promise<Done<FamilyPaused>> {
  const { reason } = parse(pauseRequest, call.body());
  const { family, changed } = await coordinator.pause(asked(call, reason));
  return done({ family: familyView(family), changed });
}

export async function unpauseFamily(
  call: Call,
  { coordinator }: ControlServices,
): Promise<Done<FamilyPaused>> {
  const { reason } = parse(reasonRequest, call.body());
  const { family, changed } = await coordinator.unpause(asked(call, reason));
  return done({ family: familyView(family), changed });
}

export async function unregisterFamily(
  call: Call,
  { coordinator }: ControlServices,
): Promise<Done<FamilyAnswer>> {
  const { reason, dryRun } = parse(familyLeaving, call.body());
  const { family } = await coordinator.unregister({ ...asked(call, reason), dryRun });
  return done({ family: familyView(family) });
}

function asked(call: Call, reason: string | undefined): { name: string; trigger: Trigger } {
  const [name = ''] = call.params;
  return { name, trigger: triggerOf(call.actor, reason) };
}
