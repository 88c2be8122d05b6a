import type { AwsContext } from './aws.ts';
import type { ApiClient } from './client.ts';
import type { Output } from './io.ts';

/** What a command works with. */
export interface Context {
  readonly out: Output;
  readonly aws: AwsContext;
  /** Stage of the deployment. */
  readonly stage: string;
  /** Finds the API on first use, so that a command without need of it asks nobody. */
  client(): Promise<ApiClient>;
  /** Between two looks at something that is watched, in milliseconds. */
  readonly pollMs: number;
}
