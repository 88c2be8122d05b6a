// A function of the tests that throws an error with a name of its own where it is asked to, else echoes.
export async function handler(
  event: { throw?: string },
  context: { invokedFunctionArn: string },
): Promise<object> {
  if (event.throw === undefined) return { event, arn: context.invokedFunctionArn };
  const error = new Error('asked to');
  error.name = event.throw;
  throw error;
}
