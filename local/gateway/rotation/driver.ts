import { setTimeout as sleep } from 'node:timers/promises';
import type { Upstream } from '../upstream.ts';
import { publishServiceEvent } from './events.ts';
import { invokeStep, type Step } from './lambda.ts';
import type { Vault } from './vault.ts';

/** How a step that failed is tried again. */
export interface RetryPolicy {
  /** How often a rotation is driven before it counts as failed. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** `start` begins again with createSecret, which is what the service is seen to do; `step` repeats the failed step. */
  readonly from: 'start' | 'step';
}

export const defaultRetry: RetryPolicy = { attempts: 5, firstDelayMs: 500, maxDelayMs: 4_000, from: 'start' };

/** One drive of a rotation's steps, as tests and `GET /_rekey/rotations` see it. */
export interface RotationJob {
  readonly arn: string;
  readonly token: string;
  readonly kind: 'rotation' | 'test';
  state: 'running' | 'succeeded' | 'failed' | 'abandoned' | 'cancelled';
  readonly steps: { step: Step; attempt: number; at: string; durationMs: number; error?: string }[];
}

interface Running {
  readonly job: RotationJob;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

const allSteps: readonly Step[] = ['createSecret', 'setSecret', 'testSecret', 'finishSecret'];
const keptJobs = 1_000;

/** Drives rotation functions through their steps, in the background, one drive per secret and token at a time. */
export class Driver {
  readonly #upstream: Upstream;
  readonly #vault: Vault;
  readonly #retry: RetryPolicy;
  readonly #running = new Map<string, Running>();
  readonly #jobs: RotationJob[] = [];
  readonly #onSuccess: (arn: string) => void;

  constructor(upstream: Upstream, vault: Vault, retry: RetryPolicy, onSuccess: (arn: string) => void) {
    this.#upstream = upstream;
    this.#vault = vault;
    this.#retry = retry;
    this.#onSuccess = onSuccess;
  }

  get jobs(): readonly RotationJob[] {
    return this.#jobs;
  }

  /** Starts a drive, unless one of the same token is under way; one of another token is given up. */
  start(kind: RotationJob['kind'], arn: string, token: string, lambdaArn: string): void {
    const current = this.#running.get(arn);
    if (current?.job.token === token) return;
    if (current !== undefined) {
      current.job.state = 'abandoned';
      current.stop.abort();
    }
    const job: RotationJob = { arn, token, kind, state: 'running', steps: [] };
    this.#jobs.push(job);
    if (this.#jobs.length > keptJobs) this.#jobs.shift();
    const stop = new AbortController();
    const done = this.#drive(job, lambdaArn, stop.signal).finally(() => {
      if (this.#running.get(arn)?.job === job) this.#running.delete(arn);
    });
    this.#running.set(arn, { job, stop, done });
  }

  /** The token whose rotation of this secret is being driven. */
  runningToken(arn: string): string | undefined {
    const running = this.#running.get(arn);
    return running?.job.kind === 'rotation' ? running.job.token : undefined;
  }

  /** Ends a drive before its next step. A step under way can't be called back, as in the service. */
  end(arn: string, state: 'abandoned' | 'cancelled'): void {
    const running = this.#running.get(arn);
    if (running === undefined) return;
    running.job.state = state;
    running.stop.abort();
    this.#running.delete(arn);
    if (state === 'abandoned') this.#announce('RotationAbandoned', running.job);
  }

  /** Waits until nothing is driven any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0)
      await Promise.all([...this.#running.values()].map((running) => running.done));
  }

  async close(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { job, stop } of running) {
      job.state = 'cancelled';
      stop.abort();
    }
    await Promise.race([Promise.all(running.map(({ done }) => done)), sleep(1_000)]);
  }

  async #drive(job: RotationJob, lambdaArn: string, signal: AbortSignal): Promise<void> {
    const prefix = job.kind === 'test' ? 'TestRotation' : 'Rotation';
    this.#announce(`${prefix}Started`, job);
    let ok = false;
    try {
      ok = await this.#steps(job, lambdaArn, signal);
      if (job.kind === 'test') await this.#vault.dropLabel(job.arn, 'AWSPENDING', job.token);
      else ok &&= (await this.#vault.describe(job.arn)).labels.get('AWSCURRENT') === job.token;
    } catch {
      ok = false; // the secret went away in between, or the stack is stopping
    }
    if (signal.aborted) return;
    job.state = ok ? 'succeeded' : 'failed';
    if (ok && job.kind === 'rotation') this.#onSuccess(job.arn);
    this.#announce(`${prefix}${ok ? 'Succeeded' : 'Failed'}`, job);
  }

  async #steps(job: RotationJob, lambdaArn: string, signal: AbortSignal): Promise<boolean> {
    const steps: readonly Step[] = job.kind === 'test' ? ['testSecret'] : allSteps;
    let next = 0;
    for (let attempt = 1; attempt <= this.#retry.attempts; attempt++) {
      if (this.#retry.from === 'start') next = 0;
      for (const step of steps.slice(next)) {
        if (signal.aborted || !(await this.#step(job, lambdaArn, step, attempt))) break;
        next++;
      }
      if (next === steps.length || signal.aborted) return !signal.aborted;
      if (attempt === this.#retry.attempts) break;
      const delay = Math.min(this.#retry.firstDelayMs * 2 ** (attempt - 1), this.#retry.maxDelayMs);
      await sleep(delay, undefined, { signal }).catch(() => undefined);
    }
    return false;
  }

  async #step(job: RotationJob, lambdaArn: string, step: Step, attempt: number): Promise<boolean> {
    const started = Date.now();
    const entry = { step, attempt, at: new Date(started).toISOString() };
    try {
      await invokeStep(this.#upstream, lambdaArn, {
        Step: step,
        SecretId: job.arn,
        ClientRequestToken: job.token,
      });
      job.steps.push({ ...entry, durationMs: Date.now() - started });
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      job.steps.push({ ...entry, durationMs: Date.now() - started, error: message });
      return false;
    }
  }

  #announce(name: string, job: RotationJob): void {
    // Events of the service are delivered on a best-effort basis; a rotation never waits for one.
    publishServiceEvent(this.#upstream, name, job.arn, job.token).catch(() => undefined);
  }
}
