import { decommissionRequest, type DecommissionAnswer } from '../../../shared/api/messages.ts';
import { standingOf } from '../../../shared/domain/decommission.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';
import { answered, readEverything } from '../selection.ts';

/** Takes an agent out of service. What it held is rotated by an order of its own, or revoked by an emergency. */
export async function decommissionAgent(
  call: Call,
  services: ControlServices,
): Promise<Done<DecommissionAnswer>> {
  const { incident, reason, dryRun } = parse(decommissionRequest, call.body());
  const [agent = ''] = call.params;
  const standing = standingOf(agent, await answered(readEverything(services)));
  if (standing === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `no agent "${agent}": it holds nothing and has no pact`, {
      field: 'agent',
      remedy: '`rekey pacts` lists agents with a pact, `rekey show NAME` the holders of a credential',
    });
  }
  const { changed, pact } = await services.decommission({
    agent,
    actor: call.actor,
    reason,
    incidentId: incident,
    dryRun,
  });
  const { at = pact.registeredAt, actor = pact.actor } = pact.decommissioned ?? {};
  const { held, families, handsTo, handedBy, principals } = standing;
  return {
    status: 200,
    body: {
      dryRun,
      changed,
      agent,
      at,
      actor,
      held: held.map((each) => ({ ...each })),
      families: [...families],
      handsTo: [...handsTo],
      handedBy: [...handedBy],
      principals: [...principals],
    },
  };
}
