import { toInstant, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { EcsService, LambdaFunction } from '../domain/holder-evidence.ts';
import { TAG } from '../names.ts';
import type { HolderWatch } from '../ports/holder-watch.ts';
import { AwsServiceError, isAwsError, type AwsCalls } from './aws-client.ts';

/** Of a listing: a hundred tasks each. */
const MAX_PAGES = 20;

/** States in which a task's containers have ended (ECS, "Task lifecycle states"). */
const ENDED = new Set(['DEPROVISIONING', 'STOPPED', 'DELETED']);

/** Times of the ECS protocol are seconds since the epoch. */
type Seconds = number;

interface ServiceAnswer {
  readonly services?: readonly {
    readonly deployments?: readonly { status?: string; createdAt?: Seconds; rolloutState?: string }[];
  }[];
}

/** ECS and Lambda over their APIs. */
export class AwsHolderWatch implements HolderWatch {
  readonly #aws: AwsCalls;
  readonly #owner: { stage: string; account: string; region: string };

  constructor(aws: AwsCalls, owner: { stage: string; account: string; region: string }) {
    this.#aws = aws;
    this.#owner = owner;
  }

  async service(cluster: string, service: string): Promise<EcsService> {
    return this.#ofService(cluster, service, async () => {
      const answer = await this.#aws.json<ServiceAnswer>('ecs', 'DescribeServices', {
        cluster,
        services: [service],
      });
      const [found] = answer.services ?? [];
      if (found === undefined) throw noService(cluster, service);
      // Tasks on their way out are wished to be STOPPED while they still run.
      const running = await this.#tasks(cluster, service, 'RUNNING');
      const leaving = await this.#tasks(cluster, service, 'STOPPED');
      return {
        deployments: (found.deployments ?? []).map(({ createdAt, status, rolloutState }) => ({
          createdAt: instant(createdAt),
          primary: status === 'PRIMARY',
          ...(rolloutState === undefined ? {} : { state: rolloutState }),
        })),
        tasks: [...running, ...leaving],
      };
    });
  }

  async redeploy(cluster: string, service: string): Promise<void> {
    await this.#ofService(cluster, service, () =>
      // One attempt: after a lost answer the service itself tells whether it has begun.
      this.#aws.json('ecs', 'UpdateService', { cluster, service, forceNewDeployment: true }, { attempts: 1 }),
    );
  }

  async function(name: string): Promise<LambdaFunction> {
    try {
      return await this.#function(name);
    } catch (error) {
      if (isAwsError(error, 'ResourceNotFoundException')) {
        throw new RekeyError('ERR_NOT_FOUND', `there is no function ${name}`, {
          field: 'holders.function',
          remedy: 'correct the name or the alias in the declaration',
          cause: error,
        });
      }
      if (!isAwsError(error, 'AccessDeniedException')) throw error;
      const { account, region, stage } = this.#owner;
      const [bare] = name.split(':');
      const arn = `arn:aws:lambda:${region}:${account}:function:${bare}`;
      throw new RekeyError('ERR_FORBIDDEN', `Rekey may not look at the function ${name}`, {
        field: 'holders.function',
        remedy: `where it exists: aws lambda tag-resource --resource ${arn} --tags ${TAG.stage}=${stage}`,
        cause: error,
      });
    }
  }

  async #function(name: string): Promise<LambdaFunction> {
    const [bare = '', alias] = name.split(':');
    const reached = alias === undefined ? await this.#latest(bare) : await this.#alias(bare, alias);
    if ('unclear' in reached) return reached;
    const found = await this.#get<{ LastModified?: string; LastUpdateStatus?: string; Version?: string }>(
      `${encodeURIComponent(name)}/configuration`,
    );
    if (found.Version !== reached.version) return { unclear: 'its alias is being moved' };
    if (found.LastUpdateStatus === 'Failed') return { unclear: 'its last update failed' };
    const modified = Date.parse(found.LastModified ?? '');
    return found.LastUpdateStatus === 'InProgress' || Number.isNaN(modified)
      ? {}
      : { modifiedAt: toInstant(modified) };
  }

  /** Callers of a bare name reach the newest code, which says nothing about those who use a version of it. */
  async #latest(name: string): Promise<{ version: string } | { unclear: string }> {
    const { Versions: versions = [] } = await this.#get<{ Versions?: { Version?: string }[] }>(
      `${encodeURIComponent(name)}/versions`,
    );
    return versions.some(({ Version }) => Version !== '$LATEST')
      ? { unclear: 'it has published versions: declare it with the alias that its callers use' }
      : { version: '$LATEST' };
  }

  async #alias(name: string, alias: string): Promise<{ version: string } | { unclear: string }> {
    const { FunctionVersion: version = '', RoutingConfig: routing } = await this.#get<{
      FunctionVersion?: string;
      RoutingConfig?: { AdditionalVersionWeights?: Record<string, number> };
    }>(`${encodeURIComponent(name)}/aliases/${encodeURIComponent(alias)}`);
    return Object.keys(routing?.AdditionalVersionWeights ?? {}).length > 0
      ? { unclear: 'its alias splits the traffic between two versions' }
      : { version };
  }

  async #get<Output>(path: string): Promise<Output> {
    const answer = await this.#aws.request('lambda', {
      method: 'GET',
      path: `/2015-03-31/functions/${path}`,
    });
    return JSON.parse(answer.text) as Output;
  }

  /** When each task of a service was created whose containers may still run. */
  async #tasks(
    cluster: string,
    serviceName: string,
    desiredStatus: 'RUNNING' | 'STOPPED',
  ): Promise<Instant[]> {
    const found: Instant[] = [];
    let nextToken: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const listed = await this.#aws.json<{ taskArns?: string[]; nextToken?: string }>('ecs', 'ListTasks', {
        cluster,
        serviceName,
        desiredStatus,
        ...(nextToken === undefined ? {} : { nextToken }),
      });
      const tasks = listed.taskArns ?? [];
      if (tasks.length > 0) {
        const described = await this.#aws.json<{ tasks?: { createdAt?: Seconds; lastStatus?: string }[] }>(
          'ecs',
          'DescribeTasks',
          { cluster, tasks },
        );
        // One that is missing here has ended between the two calls.
        for (const { createdAt, lastStatus = '' } of described.tasks ?? [])
          if (!ENDED.has(lastStatus)) found.push(instant(createdAt));
      }
      nextToken = listed.nextToken;
      if (nextToken === undefined) return found;
    }
    throw new RekeyError('ERR_CAPACITY', `the service has more than ${MAX_PAGES * 100} tasks`, {
      remedy: 'declare the holder as manual',
    });
  }

  async #ofService<T>(cluster: string, service: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isAwsError(error, 'ClusterNotFoundException', 'ServiceNotFoundException')) {
        throw noService(cluster, service, error);
      }
      if (isAwsError(error, 'AccessDeniedException')) {
        const { account, region, stage } = this.#owner;
        const arn = `arn:aws:ecs:${region}:${account}:service/${cluster}/${service}`;
        throw new RekeyError('ERR_FORBIDDEN', `Rekey may not touch the service ${cluster}/${service}`, {
          field: 'holders.service',
          remedy: `where it exists: aws ecs tag-resource --resource-arn ${arn} --tags key=${TAG.stage},value=${stage}`,
          cause: error,
        });
      }
      if (error instanceof AwsServiceError && error.status < 500) {
        throw new RekeyError('ERR_REJECTED', `ECS refuses (${error.name})`, {
          field: 'holders.service',
          remedy: 'redeploy the service yourself in the window, or declare the holder as manual',
          cause: error,
        });
      }
      throw error;
    }
  }
}

function noService(cluster: string, service: string, cause?: unknown): RekeyError {
  return new RekeyError('ERR_NOT_FOUND', `there is no service ${cluster}/${service}`, {
    field: 'holders.service',
    remedy: 'correct the cluster or the service in the declaration',
    cause,
  });
}

/** An unknown time counts as before every window. */
function instant(seconds: Seconds | undefined): Instant {
  return toInstant(Math.floor((seconds ?? 0) * 1000));
}
