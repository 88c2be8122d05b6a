import { createHash } from 'node:crypto';
import type { AddressInfo, Server as NetServer } from 'node:net';
import mysql, { type Connection } from 'mysql2';
import type { MysqlServer } from '../support/mysql.ts';

/** What a server of the driver has beside its types: the socket under it. */
interface Listening {
  readonly _server: NetServer;
}

/** What the driver does by itself only as a client: every command counts its packets from 0. */
interface Counting {
  _resetSequenceId(): void;
}

/** What a client shows of its password: SHA-1 under two seeds (mysql_native_password). */
interface Shown {
  readonly user: string;
  readonly authPluginData1: Buffer;
  readonly authPluginData2: Buffer;
  readonly authToken: Buffer;
}

/** `CLIENT_PROTOCOL_41` and what belongs to it, without TLS, compression and pluggable authentication. */
const CAPABILITIES = 0x0000_a28f;
const STATUS_AUTOCOMMIT = 2;
const UTF8 = 33;

/**
 * A server that speaks MySQL's protocol as far as a pool needs it: the handshake with a check of the password, and
 * `SELECT CURRENT_USER()`, which is its answer to every statement.
 */
export async function startFakeMysql(): Promise<MysqlServer> {
  const passwords = new Map<string, string>();
  const sessions = new Map<Connection, string>();
  let id = 0;
  const server = mysql.createServer((connection) => {
    // The server's side of mysql2 has no types for these; a packet out of sequence is refused by every client.
    const counting = connection as unknown as Counting;
    connection.on('error', () => undefined);
    connection.on('end', () => sessions.delete(connection));
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.0.0-fake',
      connectionId: ++id,
      statusFlags: STATUS_AUTOCOMMIT,
      characterSet: UTF8,
      capabilityFlags: CAPABILITIES,
      authCallback: (
        shown: Shown,
        answer: (error: null, refusal?: { message: string; code: number }) => void,
      ) => {
        const password = passwords.get(shown.user);
        if (password === undefined || !knows(password, shown)) {
          return answer(null, { message: `Access denied for user '${shown.user}'`, code: 1045 });
        }
        sessions.set(connection, shown.user);
        answer(null);
        counting._resetSequenceId();
      },
    });
    connection.on('query', () => {
      const column = { catalog: 'def', schema: '', name: 'user', orgName: 'user', table: '', orgTable: '' };
      const text = {
        characterSet: UTF8,
        columnLength: 255,
        columnType: 253,
        type: 253,
        flags: 0,
        decimals: 0,
      };
      connection.writeTextResult([{ user: sessions.get(connection) ?? '' }], [{ ...column, ...text }]);
      counting._resetSequenceId();
    });
  });
  // mysql2's `listen` takes no address: the socket behind it is bound to the loopback interface here.
  const socket = (server as unknown as Listening)._server;
  await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
  return {
    port: (socket.address() as AddressInfo).port,
    setPassword: async (user, password) => void passwords.set(user, password),
    sessions: async (user) => [...sessions.values()].filter((name) => name === user).length,
    stop: async () => {
      for (const connection of sessions.keys()) connection.destroy();
      await new Promise((resolve) => socket.close(resolve));
    },
  };
}

function knows(password: string, { authPluginData1, authPluginData2, authToken }: Shown): boolean {
  const stage1 = sha1(password);
  const stage2 = sha1(stage1);
  const mask = sha1(Buffer.concat([authPluginData1.subarray(0, 8), authPluginData2.subarray(0, 12), stage2]));
  return stage1.every((byte, at) => (byte ^ (mask[at] ?? 0)) === authToken[at]);
}

function sha1(data: string | Buffer): Buffer {
  return createHash('sha1').update(data).digest();
}
