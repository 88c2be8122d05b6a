/**
 * The name of whoever is behind an ARN: what follows its last slash, which is the user, or the session that a person's role was
 * taken with; of a name the name itself. In small letters.
 */
export function personIn(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1).toLowerCase();
}

/**
 * Whether two callers may be one person: the same ARN, or the same name in different roles. Whoever may take another session
 * name could be anybody: roles of people bind it to their own name (infra/stacks/access.ts, IAM Identity Center).
 */
export function isSamePerson(one: string, other: string): boolean {
  return personIn(one) === personIn(other);
}
