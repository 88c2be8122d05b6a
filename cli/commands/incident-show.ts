import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  emergencyAnswer,
  type CredentialView,
  type EmergencyAnswer,
  type FamilyView,
} from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { ApiClient } from '../client.ts';
import type { Run } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, failureOf } from '../failure.ts';
import { readFamilies } from '../families.ts';
import { concernedBy, readHeads, type Concerned } from '../incidents.ts';
import { operatorText, when } from '../render.ts';

/** Where one credential of an incident stands. */
interface Standing {
  readonly credential: string;
  readonly credentialId: string;
  /** `resumed` where no emergency of this incident holds it any more. */
  readonly stage: string;
  readonly emergency?: string;
  /** Of its execution: RUNNING, SUCCEEDED, FAILED, … */
  readonly execution?: string;
  readonly byHand?: string;
}

const PATIENCE_MS = 120_000;

/** `rekey incident show INCIDENT [--watch]`: where each of its credentials stands. */
async function show(context: Context, incident: string, watch: boolean): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const concerned = await out.waiting('looking for its credentials', concernedBy(client, incident));
  const first = await standings(client, incident, concerned);
  if (!watch) out.data({ incident, credentials: first });
  out.table(
    ['CREDENTIAL', 'STAGE', 'EXECUTION', 'TO DO BY HAND'],
    first.map(({ credential, stage, execution, byHand }) => [
      credential,
      stage === 'resumed' ? out.style('green', stage) : out.style('red', stage),
      execution?.toLowerCase() ?? '–',
      byHand ?? '–',
    ]),
  );
  const last = watch ? await follow(context, client, incident, concerned, first) : first;
  return last.some(needsPerson) ? EXIT.unhappy : EXIT.ok;
}

/** A line for each change, until nothing is under way any more. */
async function follow(
  context: Context,
  client: ApiClient,
  incident: string,
  concerned: readonly Concerned[],
  first: readonly Standing[],
): Promise<readonly Standing[]> {
  const { out, pollMs } = context;
  out.note(`watching ${incident}; Ctrl-C ends the watching, nothing else`);
  for (const each of first) out.event({ incident, ...each });
  let now = first;
  let answeredAt = out.io.now();
  while (now.some(isUnderWay)) {
    out.status(`${now.filter(isUnderWay).length} of ${now.length} credentials are under way`);
    await sleep(pollMs);
    const before = new Map(now.map((each) => [each.credentialId, JSON.stringify(each)]));
    try {
      now = await standings(client, incident, concerned);
      answeredAt = out.io.now();
    } catch (error) {
      const failure = failureOf(error);
      const passing = failure.exit === EXIT.unreachable || failure.code === 'ERR_UNAVAILABLE';
      if (!passing || out.io.now() - answeredAt > PATIENCE_MS) throw failure;
      continue;
    }
    for (const each of now) {
      if (before.get(each.credentialId) === JSON.stringify(each)) continue;
      const { credential, stage, execution, byHand } = each;
      const about = [execution?.toLowerCase(), byHand].filter(Boolean).join('; ');
      out.line(
        `${when(toInstant(out.io.now()))}  ${credential}: ${stage}${about === '' ? '' : ` (${about})`}`,
      );
      out.event({ incident, ...each });
    }
  }
  return now;
}

/** One look at the heads, and one at each execution. */
async function standings(
  client: ApiClient,
  incident: string,
  concerned: readonly Concerned[],
): Promise<Standing[]> {
  const [registered, families] = await Promise.all([readHeads(client), readFamilies(client)]);
  const heads = new Map(registered.map((head) => [head.id, head]));
  const byId = new Map(families.map((family) => [family.id, family]));
  const ids = new Set(
    [...heads.values()].flatMap(({ emergency }) =>
      emergency?.incident === incident ? (emergency.id ?? []) : [],
    ),
  );
  const executions = new Map(
    await Promise.all([...ids].map(async (id) => [id, await executionOf(client, id)] as const)),
  );
  return concerned.map(({ id, name, family }) =>
    family === undefined
      ? standingOf({ id, name }, heads.get(id), incident, executions)
      : familyStanding({ id, name }, byId.get(id), incident),
  );
}

/** Once somebody has consented anew the family has no emergency any more. */
function familyStanding({ id, name }: Concerned, family: FamilyView | undefined, incident: string): Standing {
  const about = { credential: name, credentialId: id };
  if (family === undefined) return { ...about, stage: 'unregistered' };
  if (family.incident === undefined) return { ...about, stage: 'resumed' };
  if (family.incident.id !== incident) return { ...about, stage: `held by ${family.incident.id}` };
  const { outcome } = family.incident;
  return {
    ...about,
    stage: outcome === 'pending' ? 'revoking' : 'halted',
    ...(outcome === 'unsupported' ? { byHand: 'revoke the grant at the server' } : {}),
  };
}

function standingOf(
  { id, name }: Concerned,
  head: CredentialView | undefined,
  incident: string,
  executions: ReadonlyMap<string, EmergencyAnswer | undefined>,
): Standing {
  const about = { credential: name, credentialId: id };
  if (head === undefined) return { ...about, stage: 'unregistered' };
  const { emergency } = head;
  if (emergency === undefined) return { ...about, stage: head.status === 'active' ? 'resumed' : head.status };
  if (emergency.incident !== incident) return { ...about, stage: `held by ${emergency.incident}` };
  const execution = emergency.id === undefined ? undefined : executions.get(emergency.id);
  return {
    ...about,
    stage: emergency.stage,
    ...(emergency.id === undefined ? {} : { emergency: emergency.id }),
    ...(execution === undefined ? {} : { execution: execution.status }),
    ...(emergency.awaitsOperator === undefined ? {} : { byHand: operatorText(emergency.awaitsOperator) }),
  };
}

async function executionOf(client: ApiClient, id: string): Promise<EmergencyAnswer | undefined> {
  try {
    return await client.get(emergencyAnswer, ['emergencies', id]);
  } catch (error) {
    // It is found a moment after its start, and for 90 days after its end.
    if (failureOf(error).code === 'ERR_NOT_FOUND') return undefined;
    throw error;
  }
}

function isUnderWay({ execution }: Standing): boolean {
  return execution === 'RUNNING';
}

/** Halted with nobody at work on it, or waiting for somebody's hands. */
function needsPerson({ byHand, execution }: Standing): boolean {
  return byHand !== undefined || (execution !== undefined && !['RUNNING', 'SUCCEEDED'].includes(execution));
}

/** Adds `show` to the group of commands about incidents. */
export function addIncidentShow(group: Command, run: Run): void {
  group
    .command('show')
    .summary('where each of its credentials stands')
    .argument('<incident>', 'id of the incident')
    .option('--watch', 'a line for each change, until nothing is under way')
    .action(async (incident: string, { watch }: { watch?: true }, command: Command) => {
      await run(command, (context) => show(context, incident, watch ?? false));
    });
}
