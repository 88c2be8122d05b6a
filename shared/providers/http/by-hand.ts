import { shellWord } from '../../domain/shell.ts';

/**
 * A call as a command for a shell. Headers may name variables of the shell, e.g. `authorization: Bearer $ADMIN_KEY`, which
 * whoever runs it sets: no secret is in it.
 */
export function curl(method: string, url: string, headers: readonly string[], body?: object): string {
  const parts = [
    `curl -X ${method}`,
    ...headers.map((header) => `-H "${header}"`),
    ...(body === undefined
      ? []
      : [`-H "content-type: application/json"`, `-d ${shellWord(JSON.stringify(body))}`]),
    shellWord(url),
  ];
  return parts.join(' ');
}

/** How a key is deleted by hand, and how to see that it is dead. */
export interface DeletionByHand {
  /** Where in the console, or with which login. */
  readonly where: string;
  readonly url: string;
  /** A header of the login, as `curl` takes it. */
  readonly login: string;
  /** What shows that it is dead, e.g. `Gone once this answers 404`. */
  readonly dead: string;
  /** What is asked for that, where it isn't the key itself. */
  readonly lookAt?: string;
}

/** A deletion and the look at its outcome, as commands for a shell. */
export function deletion({ where, url, login, dead, lookAt = url }: DeletionByHand): string {
  return [`# ${where}:`, curl('DELETE', url, [login]), `# ${dead}:`, curl('GET', lookAt, [login])].join('\n');
}
