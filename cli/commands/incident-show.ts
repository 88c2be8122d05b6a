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
import { EXIT, failureOf, type Failure } from '../failure.ts';
import {
  concernedBy,
  eachOnce,
  heldBy,
  readIncidentEvents,
  readRegistered,
  recordedIn,
  type Concerned,
  type Registered,
} from '../incidents.ts';
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

/** Where all of them stand, by one look. */
interface Look {
  readonly standings: readonly Standing[];
  /** Of the incident, by their ids: those that hold a credential, and those that were seen to. */
  readonly executions: ReadonlyMap<string, EmergencyAnswer | undefined>;
}

/** A token family whose server has not confirmed yet. */
const REVOKING = 'revoking';

/** How long an API that has stopped answering, or an incident that nothing tells of yet, is waited for. */
const PATIENCE_MS = 120_000;

/** `rekey incident show INCIDENT [--watch]`: where each of its credentials stands. */
async function show(context: Context, incident: string, watch: boolean): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const looking = watch ? appearing(context, client, incident) : concernedBy(client, incident);
  const concerned = await out.waiting('looking for its credentials', looking);
  const first = await look(client, incident, concerned, await readRegistered(client));
  if (!watch) out.data({ incident, credentials: first.standings });
  out.table(
    ['CREDENTIAL', 'STAGE', 'EXECUTION', 'TO DO BY HAND'],
    first.standings.map(({ credential, stage, execution, byHand }) => [
      credential,
      stage === 'resumed' ? out.style('green', stage) : out.style('red', stage),
      execution?.toLowerCase() ?? '–',
      byHand ?? '–',
    ]),
  );
  const last = watch ? await follow(context, client, incident, concerned, first) : first;
  return last.standings.some(needsPerson) ? EXIT.unhappy : EXIT.ok;
}

/**
 * Whom the incident concerns, once anything tells of it: the ledger may be behind. Records are paged, a year of them, so that only
 * the first look and the last read them.
 * @throws Failure ERR_NOT_FOUND where nothing tells of it in time
 */
async function appearing(
  { out, pollMs }: Context,
  client: ApiClient,
  incident: string,
): Promise<readonly Concerned[]> {
  const began = out.io.now();
  try {
    return await concernedBy(client, incident);
  } catch (error) {
    if (failureOf(error).code !== 'ERR_NOT_FOUND') throw error;
  }
  out.note(`nothing tells of ${incident} yet: it is waited for, ${PATIENCE_MS / 1000} seconds at most`);
  while (out.io.now() - began <= PATIENCE_MS) {
    await sleep(pollMs);
    try {
      const found = heldBy(incident, await readRegistered(client));
      if (found.length > 0) break;
    } catch (error) {
      if (!isPassing(failureOf(error))) throw error;
    }
  }
  return concernedBy(client, incident);
}

/** A line for each change, and for each credential that appears, until nothing is under way any more. */
async function follow(
  context: Context,
  client: ApiClient,
  incident: string,
  concerned: readonly Concerned[],
  first: Look,
): Promise<Look> {
  const { out, pollMs } = context;
  out.note(`watching ${incident}; Ctrl-C ends the watching, nothing else`);
  for (const each of first.standings) out.event({ incident, ...each });
  let known = concerned;
  let now = first;
  let answeredAt = out.io.now();
  for (;;) {
    const wasUnderWay = isBusy(now);
    out.status(
      `${now.standings.filter(isUnderWay).length} of ${now.standings.length} credentials are under way`,
    );
    if (wasUnderWay) await sleep(pollMs);
    const before = new Map(now.standings.map((each) => [each.credentialId, JSON.stringify(each)]));
    try {
      const registered = await readRegistered(client);
      // What has come and gone between two looks stands in the records only: they are read once it is quiet.
      const events = wasUnderWay ? [] : await readIncidentEvents(client);
      known = eachOnce([
        ...known,
        ...recordedIn(incident, events, registered),
        ...heldBy(incident, registered),
      ]);
      now = await look(client, incident, known, registered, now.executions.keys());
      answeredAt = out.io.now();
    } catch (error) {
      const failure = failureOf(error);
      if (!isPassing(failure) || out.io.now() - answeredAt > PATIENCE_MS) throw failure;
      await sleep(pollMs);
      continue;
    }
    const changed = now.standings.filter((each) => before.get(each.credentialId) !== JSON.stringify(each));
    for (const each of changed) {
      const { credential, stage, execution, byHand } = each;
      const about = [execution?.toLowerCase(), byHand].filter(Boolean).join('; ');
      out.line(
        `${when(toInstant(out.io.now()))}  ${credential}: ${stage}${about === '' ? '' : ` (${about})`}`,
      );
      out.event({ incident, ...each });
    }
    if (!wasUnderWay && changed.length === 0) return now;
  }
}

/** Whether it may answer again by itself. */
function isPassing({ exit, code }: Failure): boolean {
  return exit === EXIT.unreachable || code === 'ERR_UNAVAILABLE';
}

/** Where each stands, with one look at each execution: those that hold one now, and what was `seen` before. */
async function look(
  client: ApiClient,
  incident: string,
  concerned: readonly Concerned[],
  registered: Registered,
  seen: Iterable<string> = [],
): Promise<Look> {
  const heads = new Map(registered.heads.map((head) => [head.id, head]));
  const families = new Map(registered.families.map((family) => [family.id, family]));
  const holding = registered.heads.flatMap(({ emergency }) =>
    emergency?.incident === incident ? (emergency.id ?? []) : [],
  );
  const ids = new Set([...seen, ...holding]);
  const executions = new Map(
    await Promise.all([...ids].map(async (id) => [id, await executionOf(client, id)] as const)),
  );
  const standings = concerned.map(({ id, name, family }) =>
    family === undefined
      ? standingOf({ id, name }, heads.get(id), incident, executions)
      : familyStanding({ id, name }, families.get(id), incident),
  );
  return { standings, executions };
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
    stage: outcome === 'pending' ? REVOKING : 'halted',
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
  if (emergency === undefined && head.adoption === 'observed') {
    // Rekey has revoked nothing, and never hears whether a person has.
    return { ...about, stage: 'only observed', byHand: head.byHand ?? 'revoke it at its upstream' };
  }
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

function isUnderWay({ execution, stage }: Standing): boolean {
  return execution === 'RUNNING' || stage === REVOKING;
}

/** An execution that is under way may have a credential that doesn't know of it yet. */
function isBusy({ standings, executions }: Look): boolean {
  return standings.some(isUnderWay) || [...executions.values()].some((each) => each?.status === 'RUNNING');
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
