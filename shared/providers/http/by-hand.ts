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
      : [`-H "content-type: application/json"`, `-d ${quoted(JSON.stringify(body))}`]),
    quoted(url),
  ];
  return parts.join(' ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
