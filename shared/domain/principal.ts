/** ARN of the role of an assumed-role session, without its path: STS leaves that out. */
const SESSION = /^arn:([a-z-]+):sts::(\d{12}):assumed-role\/([^/]+)\/.+$/;
const ROLE = /^arn:([a-z-]+):iam::(\d{12}):role\/(?:.+\/)?([^/]+)$/;

/**
 * Whether `caller`, the ARN that API Gateway authenticated, is `principal`, the role or user of a declaration. Names of
 * roles are unique in their account whatever their path, and only the name stands in the ARN of a session.
 */
export function isPrincipal(caller: string, principal: string): boolean {
  const session = SESSION.exec(caller)?.slice(1);
  if (session === undefined) return caller === principal;
  const role = ROLE.exec(principal)?.slice(1);
  return role !== undefined && role.every((part, index) => part === session[index]);
}
