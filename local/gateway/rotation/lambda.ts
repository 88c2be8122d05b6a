import type { Upstream } from '../upstream.ts';

export type Step = 'createSecret' | 'setSecret' | 'testSecret' | 'finishSecret';

/** A step that the rotation function didn't finish: it threw, timed out or couldn't be invoked. */
export class StepFailed extends Error {}

/** Invokes the rotation function as the service does and throws where it failed. */
export async function invokeStep(
  upstream: Upstream,
  lambdaArn: string,
  event: { Step: Step; SecretId: string; ClientRequestToken: string },
): Promise<void> {
  const inProcess = upstream.functions.get(lambdaArn);
  if (inProcess !== undefined) {
    await inProcess(event).catch((error: unknown) => {
      throw new StepFailed(String(error));
    });
    return;
  }
  const path = `/2015-03-31/functions/${encodeURIComponent(lambdaArn)}/invocations`;
  const answer = await upstream
    .fetch('lambda', path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-amz-invocation-type': 'RequestResponse' },
      body: JSON.stringify({ ...event, RotationToken: crypto.randomUUID() }),
      signal: AbortSignal.timeout(15 * 60_000), // a function's own maximum
    })
    .catch((error: unknown) => {
      throw new StepFailed(`can't be invoked: ${String(error)}`);
    });
  const text = await answer.text();
  if (!answer.ok) throw new StepFailed(`can't be invoked: HTTP ${answer.status} ${text.slice(0, 300)}`);
  if (answer.headers.get('x-amz-function-error') === null) return;
  throw new StepFailed(describe(text));
}

/** Whether the function's resource policy lets Secrets Manager invoke it; without that the service refuses to rotate. */
export async function mayInvoke(upstream: Upstream, lambdaArn: string): Promise<boolean> {
  if (upstream.functions.has(lambdaArn)) return true;
  // arn:aws:lambda:<region>:<account>:function:<name>[:<alias or version>]
  const [name, qualifier] = lambdaArn.split(':').slice(6);
  const query = qualifier === undefined ? '' : `?Qualifier=${encodeURIComponent(qualifier)}`;
  const answer = await upstream.fetch('lambda', `/2015-03-31/functions/${name ?? ''}/policy${query}`, {
    method: 'GET',
  });
  const text = await answer.text();
  return answer.ok && text.includes('secretsmanager.amazonaws.com');
}

function describe(payload: string): string {
  try {
    const { errorType, errorMessage }: { errorType?: string; errorMessage?: string } = JSON.parse(payload);
    return `${errorType ?? 'Error'}: ${errorMessage ?? ''}`.slice(0, 500);
  } catch {
    return 'the function failed';
  }
}
