import { RekeyError } from '../domain/errors.ts';
import type { EmergencyInput, EmergencyStatus, Workflow } from '../ports/workflow.ts';

/** So many credentials are one execution: its input and its output hold 256 KiB each. */
export const PART = 1000;

/** More than a deployment has credentials: nobody is asked without end. */
const MOST_PARTS = 1000;

type Credentials = EmergencyInput['credentials'];

/** The execution that has the n-th part of an emergency, from 1. */
function partOf(id: string, part: number): string {
  return part === 1 ? id : `${id}-${part}`;
}

/**
 * Starts an emergency under `id`, or joins it: what has ended since may be missing from what is named, nothing may be new. For what
 * a signal asks for, whose caps have counted what it named first.
 * @throws RekeyError ERR_CONFLICT where another emergency was started under this id
 */
export async function startOnce(
  workflow: Pick<Workflow, 'startEmergency'>,
  id: string,
  input: EmergencyInput,
): Promise<void> {
  const running = await workflow.startEmergency(id, input);
  if (!isSame(running, input) || beyond(input, running).length > 0) throw another();
}

/**
 * Starts what a person asks for under `id`, in parts where one execution doesn't take it. The same again joins what runs: what is
 * named by then and wasn't before gets a part of its own, so that nothing is revoked twice and nothing is left out. Answers with all
 * that these parts revoke.
 * @throws RekeyError ERR_CONFLICT where an emergency of another kind was started under this id
 */
export async function startInParts(
  workflow: Pick<Workflow, 'startEmergency'>,
  id: string,
  input: EmergencyInput,
): Promise<Credentials> {
  const begun: Credentials[number][] = [];
  let left = input.credentials;
  for (let part = 1; left.length > 0; part++) {
    const wanted = { ...input, credentials: left.slice(0, PART) };
    const running = await workflow.startEmergency(partOf(id, part), wanted);
    if (!isSame(running, input)) throw another(begun.length);
    begun.push(...running.credentials);
    left = beyond({ credentials: left }, running);
  }
  return begun;
}

/** Whether they are about the same incident and end alike, whoever asked for them and when. */
function isSame(one: EmergencyInput, other: EmergencyInput): boolean {
  return one.incidentId === other.incidentId && one.replace === other.replace;
}

/** What is named beyond what runs. */
function beyond(
  { credentials }: Pick<EmergencyInput, 'credentials'>,
  running: Pick<EmergencyInput, 'credentials'>,
): Credentials {
  const ids = new Set(running.credentials.map(({ credentialId }) => credentialId));
  return credentials.filter(({ credentialId }) => !ids.has(credentialId));
}

function another(begun = 0): RekeyError {
  return new RekeyError('ERR_CONFLICT', 'this idempotency key has started another emergency', {
    field: 'Idempotency-Key',
    remedy: `send this emergency with a fresh key: ${
      begun === 0 ? 'nothing was revoked by this request' : `the first ${begun} of it are being revoked`
    }`,
  });
}

/** How the emergency of this id stands, all its parts together; undefined where there is none. */
export async function emergencyOf(
  workflow: Pick<Workflow, 'emergency'>,
  id: string,
): Promise<EmergencyStatus | undefined> {
  let all: EmergencyStatus | undefined;
  for (let part = 1; part <= MOST_PARTS; part++) {
    const found = await workflow.emergency(partOf(id, part));
    if (found === undefined) break;
    all = all === undefined ? found : together(all, found);
  }
  return all;
}

/** It is under way while any part is, and has failed where any has. */
function together(one: EmergencyStatus, other: EmergencyStatus): EmergencyStatus {
  const { endedAt: _ended, results: _results, ...first } = one;
  const both = [one, other];
  const isRunning = both.some(({ status }) => status === 'RUNNING');
  const unhappy = both.find(({ status }) => status !== 'SUCCEEDED');
  const endedAt = both
    .flatMap((each) => each.endedAt ?? [])
    .toSorted()
    .at(-1);
  const results = both.flatMap((each) => (Array.isArray(each.results) ? (each.results as unknown[]) : []));
  return {
    ...first,
    status: isRunning ? 'RUNNING' : (unhappy?.status ?? one.status),
    ...(isRunning || endedAt === undefined ? {} : { endedAt }),
    results,
  };
}
