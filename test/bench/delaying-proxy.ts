import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** One round trip of a connection, as its client began it. */
export interface RoundTrip {
  /** Number of the connection, from 1, since the last reset. */
  readonly connection: number;
  /** What PostgreSQL's protocol does at this point of a login over TLS with SCRAM. */
  readonly name: string;
  /** When the client sent it, and when the server got it: `Date.now()`. */
  readonly sentAt: number;
  readonly deliveredAt: number;
}

/** Stands in front of a PostgreSQL server and holds up each round trip. */
export interface DelayingProxy {
  readonly port: number;
  readonly roundTrips: readonly RoundTrip[];
  /** Forgets what was seen and delays by `ms` from now on; `ms` is given the connection's number. */
  reset(ms: (connection: number) => number): void;
  stop(): Promise<void>;
}

/** Turns of a login in order; everything after them is a statement. */
const TURNS = ['TLS request', 'TLS handshake', 'login', 'SCRAM proof', 'SCRAM proof checked'];

/**
 * Only what the client sends is held up, in order: as on a longer wire, each round trip takes that much longer. A round
 * trip begins when the client speaks after the server has.
 */
export async function startDelayingProxy(upstream: { host: string; port: number }): Promise<DelayingProxy> {
  const sockets = new Set<Socket>();
  let roundTrips: RoundTrip[] = [];
  let connections = 0;
  let delay: (connection: number) => number = () => 0;

  const server = createServer((client) => {
    const connection = ++connections;
    const into = roundTrips;
    const ms = delay(connection);
    const database = connect(upstream.port, upstream.host);
    for (const socket of [client, database]) {
      sockets.add(socket.setNoDelay(true));
      socket.on('error', () => undefined);
    }
    let turn = 0;
    let serverSpoke = true;
    client.on('data', (chunk) => {
      const sentAt = Date.now();
      const begins = serverSpoke;
      serverSpoke = false;
      const name = TURNS[turn] ?? 'statement';
      if (begins) turn++;
      // Timers of one length fire in the order in which they were set.
      setTimeout(() => {
        if (begins) into.push({ connection, name, sentAt, deliveredAt: Date.now() });
        database.write(chunk);
      }, ms);
    });
    database.on('data', (chunk) => {
      serverSpoke = true;
      client.write(chunk);
    });
    client.on('close', () => setTimeout(() => database.end(), ms));
    database.on('close', () => client.end());
    for (const socket of [client, database]) socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get roundTrips() {
      return roundTrips;
    },
    reset(ms) {
      roundTrips = [];
      connections = 0;
      delay = ms;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
