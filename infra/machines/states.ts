import {
  CREDENTIAL_TYPES,
  type CredentialType,
  type FunctionName,
  type TypedRole,
} from '../../shared/names.ts';

/** States of the Amazon States Language, as far as the machines here use it; expressions are JSONata. */
export type State = Readonly<Record<string, unknown>>;

export interface Machine {
  readonly Comment: string;
  readonly QueryLanguage: 'JSONata';
  readonly StartAt: string;
  readonly TimeoutSeconds?: number;
  readonly States: Readonly<Record<string, State>>;
}

/** What a machine has to know of a function that it calls. */
export interface Callee {
  readonly timeout: { toSeconds(): number };
}

/** How long a state waits for one call: longer than the function runs, so that its own end is seen first. */
export function callSeconds(...called: readonly Callee[]): number {
  return Math.max(...called.map(({ timeout }) => timeout.toSeconds())) + 5;
}

/** Text of a JSONata expression. */
export function expression(text: string): string {
  return `{% ${text} %}`;
}

/** The function of a role for the type that an expression gives, where each type has one of its own. */
export interface ByType {
  readonly role: TypedRole;
  readonly types: readonly CredentialType[];
  /** JSONata. */
  readonly type: string;
}

/** The types for which there is a function. */
export function typesIn(functions: Readonly<Partial<Record<CredentialType, Callee>>>): CredentialType[] {
  return CREDENTIAL_TYPES.filter((type) => functions[type] !== undefined);
}

/** What the execution was started with; reading it from the context spares passing it through every state. */
export function executionInput(field: string): string {
  return expression(`$states.context.Execution.Input.${field}`);
}

/** Name of the substitution that stands for the ARN of a function's alias. */
export function placeholderOf(name: FunctionName): string {
  return name.replace(/-(.)/g, (_match, letter: string) => letter.toUpperCase());
}

/** Errors of the Lambda service and of functions that died: every function may be called again. */
const SERVICE_ERRORS = [
  'Lambda.ClientExecutionTimeoutException',
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
  'Lambda.Unknown',
  'Sandbox.Timedout',
];

/** Our own errors that are worth another try (shared/domain/errors.ts, `retryable`). */
const OWN_ERRORS = ['ERR_UNAVAILABLE', 'ERR_NOT_PROPAGATED', 'ERR_CONFLICT', 'ERR_TIMEOUT'];

/** What passes by itself. */
export const PASSING = [...SERVICE_ERRORS, ...OWN_ERRORS];

const NO_ROOM = ['Lambda.TooManyRequestsException'];

/** Tries again with full jitter: waits are bounded by `first` seconds, then by `rate` times as many each time, up to `most`. */
function retrying(
  errors: readonly string[],
  times: number,
  { first, rate, most }: { readonly first: number; readonly rate: number; readonly most: number },
): [Readonly<Record<string, unknown>>] {
  return [
    {
      ErrorEquals: errors,
      IntervalSeconds: first,
      BackoffRate: rate,
      MaxAttempts: times,
      MaxDelaySeconds: most,
      JitterStrategy: 'FULL',
    },
  ];
}

/** Retries of a planned rotation: nobody waits for it, so it backs off. */
export const PATIENT = retrying(PASSING, 6, { first: 2, rate: 2, most: 60 });

/**
 * A revocation that Lambda has no room for is tried until it has: an account may run a thousand functions at once, a new one ten. For
 * seven minutes and more, and within the 25,000 events of one execution.
 */
export const CROWDED = retrying(NO_ROOM, 90, { first: 1, rate: 1.5, most: 10 });

/** As long as Lambda has no room, for seven minutes and more: what comes after a revocation, and doesn't hold it up. */
export const WITHOUT_ROOM = retrying(NO_ROOM, 20, { first: 1, rate: 2, most: 60 });

/** For half a minute, where something else helps as well. */
export const SHORT_OF_ROOM = retrying(NO_ROOM, 6, { first: 1, rate: 2, most: 10 });

/** A few seconds: where something else has to be done that doesn't need the same service. */
export const BRIEF = retrying(PASSING, 4, { first: 1, rate: 2, most: 4 });

/**
 * Where Lambda has failed, once: what has asked its own service four times by then goes another way, and takes no room from what is
 * urgent.
 */
export const ONCE_MORE = retrying(SERVICE_ERRORS, 1, { first: 1, rate: 1, most: 1 });

/**
 * Outlasts an hour in which a service is down or throttles, almost surely: with full jitter a wait is half of its bound in the
 * mean. For what must not be lost and holds up no revocation.
 */
export const OUTLASTING = retrying(PASSING, 41, { first: 2, rate: 2, most: 300 });

/** As long, and seldom from the beginning: for what many wait for at once while others are still to be revoked. */
export const SELDOM = retrying(PASSING, 37, { first: 30, rate: 2, most: 300 });

/** Retries of a revocation: whatever the error, at once and often. */
export const URGENT = [
  {
    ErrorEquals: ['States.ALL'],
    IntervalSeconds: 1,
    BackoffRate: 1,
    MaxAttempts: 5,
    JitterStrategy: 'FULL',
  },
];

/**
 * Looks whether a person has ended something: each wait is twice as long as the one before, up to ten minutes, for three hours.
 */
export const WHILE_AWAITED = [
  {
    ErrorEquals: ['ERR_AWAITING_OPERATOR'],
    IntervalSeconds: 15,
    BackoffRate: 2,
    MaxAttempts: 22,
    MaxDelaySeconds: 600,
  },
];

export interface TaskOptions {
  readonly function: FunctionName | ByType;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Of one attempt; a number, or an expression. */
  readonly timeoutSeconds: number | string;
  readonly retry?: readonly object[];
  readonly catch?: readonly object[];
  readonly output?: unknown;
  readonly next: string;
}

/** A call of a function's alias; its answer is the state's output. */
export function task(options: TaskOptions): State {
  return taskState('lambda:invoke', expression('$states.result.Payload'), options);
}

/** A call that ends when somebody answers its task token; the answer is the state's output. */
export function callback(options: TaskOptions): State {
  const payload = { ...options.payload, taskToken: expression('$states.context.Task.Token') };
  return taskState('lambda:invoke.waitForTaskToken', expression('$states.result'), { ...options, payload });
}

function taskState(resource: string, output: string, options: TaskOptions): State {
  return {
    Type: 'Task',
    Resource: `arn:\${partition}:states:::${resource}`,
    Arguments: { FunctionName: arnOf(options.function), Payload: options.payload },
    TimeoutSeconds: options.timeoutSeconds,
    Retry: options.retry ?? PATIENT,
    ...(options.catch === undefined ? {} : { Catch: options.catch }),
    Output: options.output ?? output,
    Next: options.next,
  };
}

function arnOf(called: FunctionName | ByType): string {
  if (typeof called === 'string') return `\${${placeholderOf(called)}}`;
  const arns = called.types.map((type) => `'${type}': '\${${placeholderOf(`${called.role}-${type}`)}}'`);
  return expression(`$lookup({${arns.join(', ')}}, ${called.type})`);
}

/** Goes to `next` on any error, with the output given; `$states.errorOutput` is the error. */
export function caught(next: string, output: unknown, errors: readonly string[] = ['States.ALL']): object {
  return { ErrorEquals: errors, Output: output, Next: next };
}

/** One arm of a choice. */
export function when(condition: string, next: string): object {
  return { Condition: expression(condition), Next: next };
}

/** An end that pages: alarms watch failed executions. */
export function fail(error: string, cause: string): State {
  return { Type: 'Fail', Error: error, Cause: cause };
}
