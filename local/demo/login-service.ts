import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Postgres } from '../postgres/start.ts';
import { tryLogin } from './database.ts';

/** A service over HTTP that takes whom the database takes. */
export interface LoginService {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a service for agents without a driver of their own: 200 for a login that the database lets in, 401 for others. */
export async function startLoginService(server: Postgres): Promise<LoginService> {
  const service = createServer((request, response) => {
    const basic = (request.headers.authorization ?? '').replace('Basic ', '');
    const [user = '', password = ''] = Buffer.from(basic, 'base64').toString().split(':');
    void tryLogin(server, { user, password })
      .then((tried) => (tried === 'accepted' ? 200 : 401))
      .catch(() => 503)
      .then((status) => response.writeHead(status).end());
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(service.address() as AddressInfo).port}/task`,
    stop: async () => {
      service.closeAllConnections();
      await new Promise((resolve) => service.close(resolve));
    },
  };
}
