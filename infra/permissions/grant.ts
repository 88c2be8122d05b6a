import { Aws } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';

/**
 * What a function may do: one named capability per need,. A function's role is the list of those
 * that it is given and nothing else (docs/architecture.md, "Functions").
 */
export interface Grant {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
  /** Why a resource has to be a pattern. Without it cdk-nag refuses the pattern. */
  readonly wildcard?: string;
}

const region = Aws.REGION;
const account = Aws.ACCOUNT_ID;
/** ARN of a resource of a service in this account and region. */
export const arn = (service: string, resource: string): string =>
  `arn:${Aws.PARTITION}:${service}:${region}:${account}:${resource}`;

/** Use of a key through one service only, never directly. */
export function viaService(service: string, keyArns: readonly string[], actions: readonly string[]): Grant {
  return {
    actions,
    resources: keyArns,
    conditions: { StringEquals: { 'kms:ViaService': `${service}.${region}.${Aws.URL_SUFFIX}` } },
  };
}

/** The grant as IAM writes it. */
export function statement({ actions, resources, conditions }: Grant): PolicyStatement {
  return new PolicyStatement({
    actions: [...actions],
    resources: [...resources],
    ...(conditions === undefined ? {} : { conditions }),
  });
}
