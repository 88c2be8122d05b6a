import type { EngineDeps } from './deps.ts';
import type { Loaded } from './state.ts';

/**
 * Gives a rotation another execution of the lifecycle, named by the ledger's version: every commit makes that a new
 * name. Two executions at once do no harm, each step is fenced.
 */
export function drive(deps: EngineDeps, { credential, rotation }: Loaded): Promise<void> {
  return deps.workflow.startLifecycle(
    { credentialId: credential.id, rotationId: rotation.id, type: credential.type },
    credential.version,
  );
}
