import type { CredentialHandle } from '../../domain/credential.ts';
import { shellWord } from '../../domain/shell.ts';
import type { IamTarget } from './target.ts';

/** What a person runs where Rekey can't: the same as an emergency's revocation. */
export function manualRevocation({ user }: IamTarget, { id }: CredentialHandle): string {
  const owner = `--user-name ${shellWord(user)}`;
  const key = `${owner} --access-key-id ${shellWord(id)}`;
  const condition = `{"DateLessThan":{"aws:TokenIssueTime":"'"$(date -u +%FT%TZ)"'"}}`;
  const statement = `{"Effect":"Deny","Action":"*","Resource":"*","Condition":${condition}}`;
  return [
    '# as somebody who may change the user:',
    `aws iam update-access-key ${key} --status Inactive`,
    '# its sessions outlive the key; this cuts off all that the user has now, for 36 hours at most:',
    `aws iam put-user-policy ${owner} --policy-name rekey-cut-by-hand --policy-document '{"Version":"2012-10-17","Statement":[${statement}]}'`,
    `aws iam delete-access-key ${key}`,
    `# Dead once this does not name it: aws iam list-access-keys ${owner}`,
  ].join('\n');
}
