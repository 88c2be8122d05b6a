import { createServer } from 'node:http';

/** What a broker holds. */
export interface Held {
  readonly key?: string;
  readonly value: unknown;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What becomes of the next requests, in their order; without more, a request is taken. */
export type Mood = 'busy' | 'refuse-inside' | 'redirect' | 'hang' | 'lose-answer';

/**
 * Google Pub/Sub (`POST /v1/projects/p/topics/t:publish`) and a Kafka REST proxy (`POST /topics/t`, its version 2), as
 * far as publishing goes: they ask for authorization, know their topics only, and keep what they have taken.
 */
export interface Brokers {
  readonly pubsub: string;
  readonly kafka: string;
  readonly held: Held[];
  readonly moods: Mood[];
  close(): Promise<void>;
}

export const AUTHORIZATION = 'Bearer of-the-broker';

export async function startBrokers(): Promise<Brokers> {
  const held: Held[] = [];
  const moods: Mood[] = [];
  const server = createServer((request, response) => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const takes = ROUTES[`${request.method} ${request.url}`];
      if (takes === undefined) return answer(404, { error: 'no such topic' });
      if (request.headers.authorization !== AUTHORIZATION) return answer(401, { error: 'who are you' });
      if (request.headers['content-type'] !== takes.contentType) return answer(415, {});
      const mood = moods.shift();
      if (mood === 'hang') return;
      if (mood === 'busy') return answer(503, { error: 'later' });
      if (mood === 'redirect') {
        response.writeHead(307, { location: request.url }).end();
        return;
      }
      const messages = takes.read(JSON.parse(text));
      if (mood === 'refuse-inside') return answer(200, takes.refusal);
      held.push(...messages);
      if (mood === 'lose-answer') request.socket.destroy();
      else answer(200, takes.done(held.length));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const base = `http://127.0.0.1:${address.port}`;
  return {
    pubsub: `${base}/v1/projects/p/topics/t:publish`,
    kafka: `${base}/topics/t`,
    held,
    moods,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

interface Route {
  readonly contentType: string;
  readonly read: (body: unknown) => Held[];
  readonly refusal: object;
  readonly done: (held: number) => object;
}

const ROUTES: Readonly<Record<string, Route>> = {
  'POST /v1/projects/p/topics/t:publish': {
    contentType: 'application/json',
    read: (body) =>
      (body as { messages: { data: string; attributes: Record<string, string> }[] }).messages.map(
        ({ data, attributes }) => ({
          value: JSON.parse(Buffer.from(data, 'base64').toString()),
          attributes,
        }),
      ),
    refusal: {},
    done: (held) => ({ messageIds: [String(held)] }),
  },
  'POST /topics/t': {
    contentType: 'application/vnd.kafka.json.v2+json',
    read: (body) => (body as { records: Held[] }).records,
    refusal: { offsets: [{ partition: null, offset: null, error_code: 50_003, error: 'not now' }] },
    done: (held) => ({ offsets: [{ partition: 0, offset: held, error_code: null, error: null }] }),
  },
};
