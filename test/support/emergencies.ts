import { randomUUID } from 'node:crypto';
import type { EngineCase } from './engine-case.ts';
import type { Execution } from './machines.ts';
import type { Login } from './agents.ts';

/** Which of these logins are still let in, as faults. */
export async function stillWorking(one: EngineCase, logins: readonly Login[]): Promise<string[]> {
  const found: string[] = [];
  for (const login of logins)
    if (await one.works(login)) found.push(`a revoked value of ${login.user} still logs in`);
  return found;
}

/** Runs the emergency; where its machine fails, an operator was paged and starts it again for the same incident. */
export async function emergency(one: EngineCase, incidentId = randomUUID() as string): Promise<Execution> {
  for (let run = 1; ; run++) {
    const execution = await one.startEmergency(incidentId);
    await one.finished(execution);
    if (execution.status === 'SUCCEEDED' || run === 4) return execution;
  }
}
