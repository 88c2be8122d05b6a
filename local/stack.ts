import { startGateway, type Gateway } from './gateway/start.ts';
import type { RetryPolicy } from './gateway/rotation/driver.ts';
import { startMiniStack, type MiniStack } from './ministack/start.ts';
import { onTermination } from './termination.ts';
import { localAccountId, localCredentials, localRegion } from './settings.ts';

export interface LocalStackOptions {
  /** Enforce IAM policies: each Lambda runs under its own role, every call is checked. */
  readonly iam?: boolean;
  /** How rotation steps that fail are tried again. */
  readonly retry?: Partial<RetryPolicy>;
}

/** A running local stack: MiniStack behind the gateway, empty until something is deployed into it. */
export interface LocalStack {
  /** The gateway's address: AWS_ENDPOINT_URL of every client. */
  readonly endpoint: string;
  readonly region: string;
  readonly accountId: string;
  readonly gateway: Gateway;
  readonly ministack: MiniStack;
  /** Whether IAM policies are enforced. */
  readonly iam: boolean;
  /** Configuration for AWS SDK clients. */
  readonly clientConfig: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Environment for child processes that use AWS. */
  readonly env: Readonly<Record<string, string>>;
  /** The address of an HTTP API by its id. */
  apiUrl(apiId: string): string;
  /** Ends everything and removes its files; a second call waits for the first. */
  stop(): Promise<void>;
}

/** Starts MiniStack and the gateway on free loopback ports. Any number can run side by side. */
export async function startLocalStack(options: LocalStackOptions = {}): Promise<LocalStack> {
  const gateway = await startGateway(options.retry === undefined ? {} : { retry: options.retry });
  const iam = options.iam === true;
  let ministack: MiniStack;
  try {
    ministack = await startMiniStack({ endpointUrl: gateway.url, iam });
  } catch (error) {
    await gateway.stop();
    throw error;
  }
  gateway.connect(ministack.url, iam);

  let stopping: Promise<void> | undefined;
  const forget = onTermination(() => stop());
  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      forget();
      await gateway.stop();
      await ministack.stop();
    })());
  return {
    endpoint: gateway.url,
    region: localRegion,
    accountId: localAccountId,
    gateway,
    ministack,
    iam,
    clientConfig: { endpoint: gateway.url, region: localRegion, credentials: localCredentials },
    env: localEnv(gateway.url),
    apiUrl: (apiId) => `${gateway.url}/_aws/execute-api/${apiId}`,
    stop,
  };
}

function localEnv(endpoint: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    // The SDK's endpoint rules give S3 a host name per bucket unless the host is an address; the CLI asks for its own.
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: localRegion,
    AWS_DEFAULT_REGION: localRegion,
    AWS_ACCESS_KEY_ID: localCredentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: localCredentials.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    CDK_DEFAULT_ACCOUNT: localAccountId,
    CDK_DEFAULT_REGION: localRegion,
    // A profile or a shared file of the user must never decide where a local run goes.
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
}
