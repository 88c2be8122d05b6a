import {
  approvalRequest,
  denialRequest,
  signalRequest,
  type HeldSignalAnswer,
  type HeldSignalsAnswer,
  type HeldSignalView,
  type HeldValueView,
  type SignalAnswer,
  type SignalResult,
} from '../../../shared/api/messages.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { whyItWorks, type HeldSignal } from '../../../shared/domain/signals/held.ts';
import { digestOf } from '../../../shared/domain/signals/signal.ts';
import { eachOf } from '../../../shared/engine/each.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

type Handle = Pick<CredentialHandle, 'id' | 'generation'>;

const READS_AT_ONCE = 20;

const NOT_YET =
  'its upstream has not confirmed yet that it is suspended; see docs/runbook.md#signal-held where it stays so';

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
  const held = await services.heldSignals();
  const signals = await eachOf(held, READS_AT_ONCE, (one) => heldView(one, services));
  return { status: 200, body: { signals } };
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
  return {
    status: signal.status === 'approved' ? 202 : 200,
    body: { signal: await heldView(signal, services) },
  };
}

export async function denySignal(call: Call, services: ControlServices): Promise<Done<HeldSignalAnswer>> {
  const { reason } = parse(denialRequest, call.body());
  const [id = ''] = call.params;
  const signal = await services.voteOnSignal({ id, verdict: 'deny', actor: call.actor, reason });
  return { status: 200, body: { signal: await heldView(signal, services) } };
}

async function heldView(signal: HeldSignal, services: ControlServices): Promise<HeldSignalView> {
  const { credentials, families, approvals, version: _version, ...held } = signal;
  return {
    ...held,
    credentials: credentials.map(({ name }) => name),
    ...named(families?.map(({ name }) => name)),
    ...(signal.status === 'held' ? { values: await valuesOf(signal, services) } : {}),
    approvals: [...approvals],
  };
}

/** How each value stands by the head of its credential, and else by what was decided as it was held. */
async function valuesOf(
  signal: HeldSignal,
  { ledger }: Pick<ControlServices, 'ledger'>,
): Promise<HeldValueView[]> {
  const { credentials, families = [] } = signal;
  const values = credentials.map(async (value): Promise<HeldValueView> => {
    const { credentialId, name, handle } = value;
    const head = await ledger.credential(credentialId);
    const isAmong = (handles: readonly Handle[]): boolean =>
      handles.some(({ id, generation }) => id === handle?.id && generation === handle.generation);
    if (head === undefined) return works(name, 'Rekey has let go of its credential');
    if (handle !== undefined && !isAmong(head.live)) return { name, state: 'ended' };
    const confirmed = (head.suspended ?? []).filter(({ since }) => since !== undefined);
    if (isAmong(confirmed.map((each) => each.handle))) return { name, state: 'suspended' };
    return works(name, whyItWorks(signal, { ...value, provider: head.provider }) ?? NOT_YET);
  });
  return [
    ...(await Promise.all(values)),
    ...families.map(({ name }) => works(name, 'token families are not suspended')),
  ];
}

function works(name: string, why: string): HeldValueView {
  return { name, state: 'works', why };
}

function named(families: readonly string[] | undefined): { families?: string[] } {
  return families === undefined ? {} : { families: [...families] };
}
