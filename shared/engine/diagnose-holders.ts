import { bad, ok, passing, refusal, type Check } from '../domain/diagnosis.ts';
import { isRekeyError } from '../domain/errors.ts';
import { needsLook, type EcsRestartHolder, type LambdaHolder } from '../domain/holders.ts';
import type { HolderDeps } from './holders.ts';
import { loadCredential } from './state.ts';

/** Whether the services and functions that hold a credential can be looked at; nothing is changed. */
export async function diagnoseHolders(deps: HolderDeps, credentialId: string): Promise<Check[]> {
  const { holders } = await loadCredential(deps, credentialId);
  return Promise.all(holders.filter(needsLook).map(async (holder) => look(deps, holder)));
}

async function look({ watch }: HolderDeps, holder: EcsRestartHolder | LambdaHolder): Promise<Check> {
  try {
    if (holder.kind === 'lambda') {
      const { unclear } = await watch.function(holder.function);
      return unclear === undefined
        ? ok('holders', holder.name, `the function ${holder.function} can be looked at`)
        : bad('warn', 'holders', holder.name, unclear, 'docs/holders.md says what its proof needs');
    }
    await watch.service(holder.cluster, holder.service);
    return ok('holders', holder.name, `the service ${holder.cluster}/${holder.service} can be looked at`);
  } catch (error) {
    if (isRekeyError(error)) return refusal('holders', holder.name, error.toJSON());
    return passing('holders', holder.name, 'unexpected', { who: 'check-holders', service: 'AWS' });
  }
}
