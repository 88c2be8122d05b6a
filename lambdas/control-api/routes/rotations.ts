import {
  confirmRequest,
  reasonRequest,
  rotateRequest,
  type RotateAnswer,
  type RotationAnswer,
} from '../../../shared/api/messages.ts';
import { rotationView } from '../../../shared/api/views.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { credentialOf, seen, triggerOf } from '../lookup.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function showRotation(
  { params: [name = '', id = ''] }: Call,
  services: ControlServices,
): Promise<Done<RotationAnswer>> {
  const { ledger } = services;
  const credential = await credentialOf(ledger, name);
  const rotation = await ledger.rotation(credential.id, id);
  if (rotation === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `"${credential.name}" has no rotation "${id}"`, {
      remedy: `\`rekey show ${credential.name}\` lists its rotations`,
    });
  }
  return { status: 200, body: { rotation: await seen(services, credential, rotation) } };
}

export async function rotate(call: Call, services: ControlServices): Promise<Done<RotateAnswer>> {
  const { reason, now } = parse(rotateRequest, call.body());
  const { rotation, joined, beside } = await services.requestRotation({
    name: call.params[0] ?? '',
    token: call.token,
    trigger: triggerOf(call.actor, reason),
    ...(now === undefined ? {} : { now }),
  });
  return { status: 202, body: { rotation: rotationView(rotation), joined, beside: [...beside] } };
}

export async function rollBack(call: Call, services: ControlServices): Promise<Done<RotationAnswer>> {
  const { reason } = parse(reasonRequest, call.body());
  const [name = '', rotationId = ''] = call.params;
  const { rotation } = await services.requestRollback({
    name,
    rotationId,
    trigger: triggerOf(call.actor, reason),
  });
  return { status: 202, body: { rotation: rotationView(rotation) } };
}

export async function confirm(call: Call, services: ControlServices): Promise<Done<RotationAnswer>> {
  const { holder, reason } = parse(confirmRequest, call.body());
  const [name = '', rotationId = ''] = call.params;
  const trigger = triggerOf(call.actor, reason);
  const { rotation } =
    holder === undefined
      ? await services.confirmEnd({ name, rotationId, trigger })
      : await services.confirmHolder({ name, rotationId, holder, trigger });
  const credential = await credentialOf(services.ledger, name);
  return { status: 200, body: { rotation: await seen(services, credential, rotation) } };
}
