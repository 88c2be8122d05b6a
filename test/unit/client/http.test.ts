import { Readable } from 'node:stream';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anthropicOptions } from '../../../client/src/anthropic.ts';
import { rotatingFetch } from '../../../client/src/fetch.ts';
import { openAiOptions } from '../../../client/src/openai.ts';
import { startKeyServer, type KeyServer } from '../../fakes/key-server.ts';
import { sourceCase, type SourceCase } from '../../support/client.ts';

let server: KeyServer;
let one: SourceCase;
beforeEach(async () => {
  server = await startKeyServer('one');
  one = await sourceCase();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

/** The provider takes only the next key; the vault has it. */
function rotate(): void {
  one.vault.put('two', 'AWSCURRENT');
  server.live.clear();
  server.live.add('two');
}

const statuses = (): number[] => server.requests.map(({ status }) => status);

describe('a rotating fetch', () => {
  it('sends the credential, and keeps the headers of the request', async () => {
    const send = rotatingFetch(one.source);
    const answer = await send(`${server.url}/things`, { headers: { accept: 'application/json' } });
    expect(await answer.json()).toEqual({ said: 'done with one' });
  });

  it('sends a refused request again, body included, with the next key', async () => {
    const send = rotatingFetch(one.source);
    rotate();
    const answer = await send(`${server.url}/things`, { method: 'POST', body: '{"a":1}' });
    expect(answer.status).toBe(200);
    expect(server.requests.map(({ key, body }) => [key, body])).toEqual([
      ['one', '{"a":1}'],
      ['two', '{"a":1}'],
    ]);
  });

  it('sends a Request object again, body included', async () => {
    const send = rotatingFetch(one.source);
    rotate();
    const answer = await send(new Request(`${server.url}/things`, { method: 'POST', body: 'text' }));
    expect([answer.status, server.requests[1]?.body]).toEqual([200, 'text']);
  });

  it('answers a refusal that no version helps against, once', async () => {
    const send = rotatingFetch(one.source);
    const answer = await send(`${server.url}/forbidden`);
    expect([answer.status, statuses()]).toEqual([403, [403]]);
    expect(await answer.json()).toHaveProperty('error');
  });

  it('looks at nothing for an answer that is no refusal by its statuses', async () => {
    const send = rotatingFetch(one.source, { statuses: [401] });
    expect((await send(`${server.url}/forbidden`)).status).toBe(403);
    expect(one.vault.calls).toBe(1);
  });

  it('does not repeat what it can read only once', async () => {
    const send = rotatingFetch(one.source);
    rotate();
    const body = Readable.toWeb(Readable.from(['text'])) as ReadableStream;
    const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' };
    expect((await send(`${server.url}/things`, init)).status).toBe(401);
    expect(statuses()).toEqual([401]);
  });

  it('works with the fetch of undici and a dispatcher of its own, and other headers', async () => {
    const agent = new Agent();
    const send = rotatingFetch(one.source, {
      fetch: undiciFetch,
      headers: (credential) => ({ 'x-api-key': credential.reveal() }),
    });
    rotate();
    const answer = await send(`${server.url}/things`, { dispatcher: agent });
    expect(await answer.json()).toEqual({ said: 'done with two' });
    await agent.close();
  });

  it('passes on what is no answer', async () => {
    const send = rotatingFetch(one.source);
    await expect(send('http://127.0.0.1:1/')).rejects.toThrow('fetch failed');
  });
});

describe('the SDK of', () => {
  it('OpenAI takes the next key without a new client', async () => {
    const client = new OpenAI({ ...openAiOptions(one.source), baseURL: `${server.url}/v1` });
    const ask = async (): Promise<string | null | undefined> => {
      const answer = await client.chat.completions.create({
        model: 'gpt-test',
        messages: [{ role: 'user', content: 'hello' }],
      });
      return answer.choices[0]?.message.content;
    };
    expect(await ask()).toBe('done with one');
    rotate();
    expect(await ask()).toBe('done with two');
    expect(await ask()).toBe('done with two');
    expect(statuses()).toEqual([200, 401, 200, 200]);
  });

  it('OpenAI finds the key in a secret as Rekey writes it', async () => {
    one.vault.put(JSON.stringify({ apiKey: 'two', apiKeyId: 'key_2' }), 'AWSCURRENT');
    await one.source.refreshNow();
    const client = new OpenAI({ ...openAiOptions(one.source), baseURL: `${server.url}/v1` });
    server.live.add('two');
    const answer = await client.chat.completions.create({
      model: 'gpt-test',
      messages: [{ role: 'user', content: 'hello' }],
    });
    expect(answer.choices[0]?.message.content).toBe('done with two');
    expect(statuses()).toEqual([200]);
  });

  it('Anthropic takes the next key without a new client', async () => {
    const keyOf = (credential: { reveal(): string }): string => credential.reveal().trim();
    const client = new Anthropic({ ...anthropicOptions(one.source, keyOf), baseURL: server.url });
    const ask = async (): Promise<string> => {
      const answer = await client.messages.create({
        model: 'claude-test',
        max_tokens: 10,
        messages: [{ role: 'user', content: 'hello' }],
      });
      return answer.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
    };
    expect(await ask()).toBe('done with one');
    rotate();
    expect(await ask()).toBe('done with two');
    expect(await ask()).toBe('done with two');
    expect(statuses()).toEqual([200, 401, 200, 200]);
  });

  it('OpenAI says that the key was refused, where none is taken', async () => {
    const client = new OpenAI({ ...openAiOptions(one.source), baseURL: `${server.url}/v1` });
    server.live.clear();
    await expect(client.models.list()).rejects.toMatchObject({ status: 401 });
  });
});
