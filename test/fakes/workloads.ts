import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Task {
  readonly arn: string;
  readonly createdAt: number;
  /** When its containers end; absent while the service wants it. */
  endsAt?: number;
}

interface Deployment {
  readonly createdAt: number;
  /** Rolling: from then on it is complete. */
  readonly completeAt: number;
  /** When the circuit breaker rolls it back. */
  readonly failsAt?: number;
}

export interface FakeService {
  readonly key: string;
  readonly deployments: Deployment[];
  tasks: Task[];
  desired: number;
  /** A task that doesn't leave: its load balancer drains for ever. */
  stubborn: boolean;
  /** Its deployments never come up: the circuit breaker rolls each back, and the tasks stay as they were. */
  broken: boolean;
  controller: 'ECS' | 'CODE_DEPLOY';
  readonly redeployments: number[];
}

export interface FakeFunction {
  /** When each version was made; `$LATEST` is one of them. */
  readonly versions: Map<string, number>;
  readonly aliases: Map<string, { version: string; also?: string }>;
  updating: boolean;
}

/** How long a rolling deployment takes, and how long a task needs to leave. */
const ROLL_MS = 40_000;
const DRAIN_MS = 30_000;

/**
 * ECS services and Lambda functions behind their real protocols over HTTP, as far as Rekey uses them: ECS's JSON 1.1
 * with times in seconds, Lambda's REST with a time as text. State follows the clock that it is given; a deployment
 * replaces tasks, and a task that leaves is wished to be STOPPED while it still runs.
 */
export class FakeWorkloads {
  readonly services = new Map<string, FakeService>();
  readonly functions = new Map<string, FakeFunction>();
  /** Services and functions whose owner has not tagged them. */
  readonly untagged = new Set<string>();
  /** Every request, by its operation. */
  readonly calls: string[] = [];
  /** The next call of this operation is done, but its connection breaks before the answer. */
  loseAnswerOf: string | undefined;
  /** Whether ECS answers at all. */
  down = false;
  readonly #clock: () => number;
  #server: Server | undefined;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  async start(): Promise<string> {
    this.#server = createServer((request, response) => {
      void this.#reply(request, response);
    });
    await new Promise<void>((resolve) => {
      this.#server?.listen(0, '127.0.0.1', resolve);
    });
    // The address of a listening TCP server is never a path.
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => {
      this.#server?.close(resolve);
    });
  }

  async #reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { operation, status, answer } = this.#answer(request, await body(request));
    this.calls.push(operation);
    if (this.loseAnswerOf === operation) {
      this.loseAnswerOf = undefined;
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(answer));
  }

  /** A service that has been running for an hour. */
  addService(cluster: string, name: string, tasks = 2): FakeService {
    const hourAgo = this.#clock() - 3_600_000;
    const service: FakeService = {
      key: `${cluster}/${name}`,
      deployments: [{ createdAt: hourAgo, completeAt: hourAgo }],
      tasks: Array.from({ length: tasks }, () => newTask(cluster, hourAgo)),
      desired: tasks,
      stubborn: false,
      broken: false,
      controller: 'ECS',
      redeployments: [],
    };
    this.services.set(service.key, service);
    return service;
  }

  addFunction(name: string): FakeFunction {
    const made: FakeFunction = {
      versions: new Map([['$LATEST', this.#clock() - 3_600_000]]),
      aliases: new Map(),
      updating: false,
    };
    this.functions.set(name, made);
    return made;
  }

  /** A new deployment: new tasks beside the old, which leave once those are up. */
  deploy(service: FakeService): void {
    const now = this.#clock();
    const completeAt = service.broken ? Number.POSITIVE_INFINITY : now + ROLL_MS + DRAIN_MS;
    const failure = service.broken ? { failsAt: now + ROLL_MS } : {};
    service.deployments.unshift({ createdAt: now, completeAt, ...failure });
    if (service.broken) return;
    const cluster = service.key.split('/')[0] ?? '';
    for (const task of service.tasks) if (!service.stubborn) task.endsAt ??= now + ROLL_MS + DRAIN_MS;
    service.tasks.push(...Array.from({ length: service.desired }, () => newTask(cluster, now + 1000)));
  }

  #answer(request: IncomingMessage, text: string): { operation: string; status: number; answer: object } {
    const target = String(request.headers['x-amz-target'] ?? '');
    if (!target.startsWith('AmazonEC2ContainerServiceV20141113.')) return this.#lambda(request);
    const operation = target.split('.')[1] ?? '';
    const input = JSON.parse(text) as Record<string, unknown>;
    if (this.down) return { operation, ...refused('ServerException', 500) };
    const [named] = (input['services'] as string[] | undefined) ?? [];
    const key = `${String(input['cluster'])}/${named ?? String(input['service'] ?? input['serviceName'])}`;
    if (this.untagged.has(key) && operation !== 'DescribeTasks') {
      return { operation, ...refused('AccessDeniedException') };
    }
    const service = this.services.get(key);
    switch (operation) {
      case 'DescribeServices':
        return {
          operation,
          status: 200,
          answer:
            service === undefined
              ? { services: [], failures: [{ arn: key, reason: 'MISSING' }] }
              : { services: [this.#described(service)], failures: [] },
        };
      case 'UpdateService':
        if (service === undefined) return { operation, ...refused('ServiceNotFoundException') };
        if (input['forceNewDeployment'] !== true || service.controller !== 'ECS') {
          return { operation, ...refused('InvalidParameterException') };
        }
        service.redeployments.push(this.#clock());
        this.deploy(service);
        return { operation, status: 200, answer: { service: this.#described(service) } };
      case 'ListTasks': {
        if (service === undefined) return { operation, ...refused('ServiceNotFoundException') };
        // Two a page, so that the second page counts.
        const wanted = service.tasks.filter((task) => this.#wished(task) === input['desiredStatus']);
        const from = Number(input['nextToken'] ?? 0);
        const more = from + 2 < wanted.length ? { nextToken: String(from + 2) } : {};
        return {
          operation,
          status: 200,
          answer: { taskArns: wanted.slice(from, from + 2).map(({ arn }) => arn), ...more },
        };
      }
      case 'DescribeTasks': {
        const wanted = new Set(input['tasks'] as string[]);
        const tasks = [...this.services.values()].flatMap((each) => each.tasks);
        return {
          operation,
          status: 200,
          answer: {
            tasks: tasks
              .filter(({ arn }) => wanted.has(arn))
              .map((task) => ({
                taskArn: task.arn,
                createdAt: task.createdAt / 1000,
                desiredStatus: this.#wished(task),
                lastStatus: this.#last(task),
              })),
            failures: [],
          },
        };
      }
      default:
        return { operation, ...refused('InvalidAction') };
    }
  }

  #described(service: FakeService): object {
    const now = this.#clock();
    return {
      serviceName: service.key.split('/')[1],
      status: 'ACTIVE',
      deployments:
        service.controller === 'CODE_DEPLOY'
          ? []
          : service.deployments
              .filter(({ failsAt = Number.POSITIVE_INFINITY }) => failsAt > now)
              .filter(({ completeAt }, index) => index === 0 || completeAt > now)
              .map(({ createdAt, completeAt }, index) => ({
                createdAt: createdAt / 1000,
                status: index === 0 ? 'PRIMARY' : 'ACTIVE',
                rolloutState: completeAt <= now ? 'COMPLETED' : 'IN_PROGRESS',
              })),
    };
  }

  #wished({ endsAt }: Task): string {
    return endsAt !== undefined && this.#clock() >= endsAt - DRAIN_MS ? 'STOPPED' : 'RUNNING';
  }

  #last({ endsAt, createdAt }: Task): string {
    const now = this.#clock();
    if (endsAt === undefined || now < endsAt - DRAIN_MS)
      return now < createdAt + 5000 ? 'PENDING' : 'RUNNING';
    return now < endsAt ? 'DEACTIVATING' : 'STOPPED';
  }

  #lambda(request: IncomingMessage): { operation: string; status: number; answer: object } {
    const parts = decodeURIComponent(request.url ?? '')
      .split('?')[0]
      ?.split('/')
      .slice(3);
    const [named = '', resource = '', alias] = parts ?? [];
    const [name = '', qualifier] = named.split(':');
    const operation =
      { configuration: 'GetFunctionConfiguration', versions: 'ListVersionsByFunction', aliases: 'GetAlias' }[
        resource
      ] ?? resource;
    const found = this.functions.get(name);
    if (this.untagged.has(name)) return { operation, ...refused('AccessDeniedException', 403) };
    if (found === undefined) return { operation, ...refused('ResourceNotFoundException', 404) };
    if (operation === 'ListVersionsByFunction') {
      const answer = { Versions: [...found.versions.keys()].map((Version) => ({ Version })) };
      return { operation, status: 200, answer };
    }
    const pointed = found.aliases.get(alias ?? qualifier ?? '');
    if ((alias ?? qualifier) !== undefined && pointed === undefined) {
      return { operation, ...refused('ResourceNotFoundException', 404) };
    }
    if (operation === 'GetAlias') {
      const also = pointed?.also === undefined ? {} : { AdditionalVersionWeights: { [pointed.also]: 0.5 } };
      return { operation, status: 200, answer: { FunctionVersion: pointed?.version, RoutingConfig: also } };
    }
    const version = pointed?.version ?? '$LATEST';
    const modified = new Date(Math.floor((found.versions.get(version) ?? 0) / 1000) * 1000);
    return {
      operation,
      status: 200,
      answer: {
        Version: version,
        LastModified: modified.toISOString().replace('Z', '+0000'),
        LastUpdateStatus: found.updating ? 'InProgress' : 'Successful',
      },
    };
  }
}

function newTask(cluster: string, createdAt: number): Task {
  return { arn: `arn:aws:ecs:eu-west-1:111122223333:task/${cluster}/${randomUUID()}`, createdAt };
}

function refused(name: string, status = 400): { status: number; answer: object } {
  return { status, answer: { __type: name, message: name } };
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
