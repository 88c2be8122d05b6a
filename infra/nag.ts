import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import type { Grant } from './permissions.ts';

/** Acknowledges one finding of cdk-nag on `scope` and below, with its reason. */
export function acknowledge(scope: IConstruct, id: string, reason: string): void {
  Validations.of(scope).acknowledge({ id, reason });
}

/** Acknowledges exactly the patterns that the grants themselves explain; any other wildcard stays an error. */
export function acknowledgeGrants(scope: IConstruct, grants: readonly Grant[]): void {
  for (const { resources, wildcard } of grants) {
    if (wildcard === undefined) continue;
    for (const resource of resources) {
      const text = flatten(Stack.of(scope).resolve(resource));
      if (text.includes('*')) acknowledge(scope, `AwsSolutions-IAM5[Resource::${text}]`, wildcard);
    }
  }
}

/** A resolved CloudFormation value as cdk-nag writes it in the id of a finding. */
function flatten(value: unknown): string {
  if (typeof value === 'string') return value;
  const [name, args] = Object.entries(value as Record<string, unknown>)[0] ?? ['', ''];
  if (name === 'Ref') return `<${String(args)}>`;
  if (name === 'Fn::GetAtt') return `<${(args as string[]).join('.')}>`;
  if (name === 'Fn::ImportValue') return flatten(args);
  if (name === 'Fn::Join') {
    const [separator, parts] = args as [string, unknown[]];
    return parts.map(flatten).join(separator);
  }
  return JSON.stringify(value);
}
