import * as z from 'zod';
import { throwAll } from '../../domain/errors.ts';
import { declarationErrors } from '../../domain/mistakes.ts';
import { inWords } from '../../domain/wording.ts';

const FORM = 'docs/providers/aws-iam.md has every field of a target';

const fields = {
  user: z
    .string()
    .regex(/^[\w+=,.@-]{1,64}$/, 'must be the name of an IAM user, without its path')
    .describe('The IAM user, in the account of the deployment'),
  account: z
    .string()
    .regex(/^\d{12}$/, 'must be an account id of 12 digits')
    .optional()
    .describe('The account that a new key must turn out to be of'),
};

/** The user whose access keys rotate. Not secret: it goes into the ledger. */
export interface IamTarget {
  readonly user: string;
  /** Held against what the key says of itself. */
  readonly account?: string;
}

/** A target as it is declared: an unknown field is a mistake. @throws RekeyError ERR_DECLARATION */
export function parseTarget(input: unknown): IamTarget {
  return read(z.strictObject(fields), input);
}

/** A target from the ledger, where a newer version may have put it. */
export function readTarget(input: unknown): IamTarget {
  return read(z.object(fields), input);
}

/** What no two credentials share: names of users differ by more than case. */
export function identityOf({ user }: IamTarget): string {
  return `aws-iam:${user.toLowerCase()}`;
}

function read(schema: z.ZodType<{ user: string; account?: string | undefined }>, input: unknown): IamTarget {
  const parsed = schema.safeParse(input, { error: inWords });
  if (!parsed.success) throwAll(declarationErrors(parsed.error, 'target', FORM));
  const { user, account } = schema.parse(input);
  return { user, ...(account === undefined ? {} : { account }) };
}
