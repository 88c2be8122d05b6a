/** A client that connects, as far as the log shows of it. */
export interface LoggedClient {
  readonly user: string;
  readonly database: string;
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  readonly application?: string;
}

const TLS = ' SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)';

/** As PostgreSQL cuts names off before it logs them. */
function cut(name: string): string {
  return Buffer.from(name).subarray(0, 63).toString('utf8');
}

/** One record as PostgreSQL writes it with RDS's prefix: names raw in the prefix, what continues a message behind a tab. */
export function record(at: string, names: string, client: LoggedClient, message: string): string {
  const time = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
  const from = `${client.address}(${client.port})`;
  return `${time}:${from}:${names}:[${client.pid}]:${message.replaceAll('\n', '\n\t')}\n`;
}

/** What a connection leaves that is let in. */
export function letIn(at: string, client: LoggedClient): string[] {
  const [user, database] = [cut(client.user), cut(client.database)];
  const application = client.application === undefined ? '' : ` application_name=${client.application}`;
  const said = `LOG:  connection authorized: user=${user} database=${database}${application}${TLS}`;
  return [received(at, client), record(at, `${user}@${database}`, client, said)];
}

/** What one leaves whose password is wrong. */
export function turnedAway(at: string, client: LoggedClient): string[] {
  const [user, database] = [cut(client.user), cut(client.database)];
  const names = `${user}@${database}`;
  return [
    received(at, client),
    record(at, names, client, `FATAL:  password authentication failed for user "${user}"`),
    record(at, names, client, `DETAIL:  Role "${user}" does not exist.`),
  ];
}

function received(at: string, client: LoggedClient): string {
  const said = `LOG:  connection received: host=${client.address} port=${client.port}`;
  return record(at, '[unknown]@[unknown]', client, said);
}

/** The ways in which records may come as events: whole, by lines that begin with a time, by lines. */
export const DELIVERIES: readonly ((records: readonly string[]) => string[])[] = [
  (records) => [...records],
  (records) => records.join('').split(/(?<=\n)(?=\d{4}-\d{2}-\d{2} \d{2}:)/),
  (records) => records.join('').split(/(?<=\n)/),
];
