import type { EcsService, LambdaFunction } from '../domain/holder-evidence.ts';

/**
 * The workloads that hold credentials, as AWS shows them. Every refusal is a RekeyError that says what to do about it:
 * ERR_FORBIDDEN where the owner hasn't consented by a tag, ERR_NOT_FOUND where there is no such workload.
 */
export interface HolderWatch {
  service(cluster: string, service: string): Promise<EcsService>;
  /** Starts a new deployment of a service as it is. Twice makes two: ask `service` first. */
  redeploy(cluster: string, service: string): Promise<void>;
  /** A function by the name that its callers use. */
  function(name: string): Promise<LambdaFunction>;
}
