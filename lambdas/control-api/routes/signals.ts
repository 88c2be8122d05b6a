import {
  approvalRequest,
  denialRequest,
  signalRequest,
  type HeldSignalAnswer,
  type HeldSignalsAnswer,
  type HeldSignalView,
  type SignalAnswer,
  type SignalResult,
} from '../../../shared/api/messages.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { HeldSignal } from '../../../shared/domain/signals/held.ts';
import { digestOf } from '../../../shared/domain/signals/signal.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

/** What a scanner has found, in the name of whoever sends it. */
export async function sendSignals(call: Call, services: ControlServices): Promise<Done<SignalAnswer>> {
  const { source, findings, dryRun } = parse(signalRequest, call.body());
  const results: SignalResult[] = [];
  for (const { fingerprints, verified } of findings) {
    const signal = {
      source,
      id: digestOf(String(verified), ...fingerprints),
      kind: 'leak',
      fingerprints,
      verified,
      observedAt: toInstant(services.clock()),
    } as const;
    const outcome = await services.receiveSignal({ signal, actor: call.actor, dryRun });
    const { credentials, families, ...about } = outcome;
    results.push({ ...about, credentials: [...credentials], ...named(families) });
  }
  const begun = results.some(({ act }) => !dryRun && ['revoke', 'rotate', 'hold'].includes(act));
  return { status: begun ? 202 : 200, body: { dryRun, results } };
}

export async function listHeld(_call: Call, services: ControlServices): Promise<Done<HeldSignalsAnswer>> {
  return { status: 200, body: { signals: (await services.heldSignals()).map(heldView) } };
}

export async function approveSignal(call: Call, services: ControlServices): Promise<Done<HeldSignalAnswer>> {
  const { reason, breakGlass } = parse(approvalRequest, call.body());
  const signal = await services.voteOnSignal({
    id: call.params[0] ?? '',
    verdict: 'approve',
    actor: call.actor,
    reason,
    ...(breakGlass ? { glass: true } : {}),
  });
  return { status: signal.status === 'approved' ? 202 : 200, body: { signal: heldView(signal) } };
}

export async function denySignal(call: Call, services: ControlServices): Promise<Done<HeldSignalAnswer>> {
  const { reason } = parse(denialRequest, call.body());
  const [id = ''] = call.params;
  const signal = await services.voteOnSignal({ id, verdict: 'deny', actor: call.actor, reason });
  return { status: 200, body: { signal: heldView(signal) } };
}

function heldView({
  credentials,
  families,
  approvals,
  version: _version,
  ...held
}: HeldSignal): HeldSignalView {
  return {
    ...held,
    credentials: credentials.map(({ name }) => name),
    ...named(families?.map(({ name }) => name)),
    approvals: [...approvals],
  };
}

function named(families: readonly string[] | undefined): { families?: string[] } {
  return families === undefined ? {} : { families: [...families] };
}
