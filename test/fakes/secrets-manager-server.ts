import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What the server does with calls. */
export type VaultMode = 'up' | 'down' | 'hangs';

/** Secrets Manager's GetSecretValue over HTTP, with the labels of a rotation; every secret is there and has one value. */
export interface SecretsManagerServer extends AsyncDisposable {
  readonly url: string;
  /** Options of an AWS SDK client that speaks to it. */
  readonly clientConfig: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  /** Calls since the last reset. */
  readonly calls: () => number;
  readonly reset: () => void;
  readonly be: (mode: VaultMode) => void;
  /** A new version with the label. */
  readonly put: (value: string, label: 'AWSCURRENT' | 'AWSPENDING') => string;
  /** AWSCURRENT moves to the version, AWSPREVIOUS to where it was; AWSPENDING goes. */
  readonly promote: (versionId: string) => void;
}

interface Version {
  readonly id: string;
  readonly value: string;
  readonly createdAt: number;
}

interface State {
  mode: VaultMode;
  calls: number;
  readonly labels: Map<string, Version>;
}

export async function startSecretsManager(first: string): Promise<SecretsManagerServer> {
  const state: State = { mode: 'up', calls: 0, labels: new Map() };
  const versions = new Map<string, Version>();
  const server = createServer((request, response) => {
    void answer(state, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const put = (value: string, label: string): string => {
    const version = { id: randomUUID(), value, createdAt: Date.now() };
    versions.set(version.id, version);
    state.labels.set(label, version);
    return version.id;
  };
  put(first, 'AWSCURRENT');
  return {
    url,
    clientConfig: {
      endpoint: url,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    },
    calls: () => state.calls,
    reset: () => {
      state.calls = 0;
    },
    be: (mode) => {
      state.mode = mode;
    },
    put,
    promote: (versionId) => {
      const [before, next] = [state.labels.get('AWSCURRENT'), versions.get(versionId)];
      if (before !== undefined) state.labels.set('AWSPREVIOUS', before);
      if (next !== undefined) state.labels.set('AWSCURRENT', next);
      state.labels.delete('AWSPENDING');
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const asked = JSON.parse(await text(request)) as {
    SecretId: string;
    VersionId?: string;
    VersionStage?: string;
  };
  state.calls++;
  if (state.mode === 'hangs') return;
  if (state.mode === 'down') return send(response, 503, { __type: 'ServiceUnavailable', message: 'down' });
  const version =
    asked.VersionId === undefined
      ? state.labels.get(asked.VersionStage ?? 'AWSCURRENT')
      : [...state.labels.values()].find(({ id }) => id === asked.VersionId);
  if (version === undefined) {
    return send(response, 400, { __type: 'ResourceNotFoundException', Message: 'no such version' });
  }
  const labels = [...state.labels].filter(([, { id }]) => id === version.id).map(([label]) => label);
  send(response, 200, {
    ARN: `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${asked.SecretId}-abcdef`,
    Name: asked.SecretId,
    VersionId: version.id,
    VersionStages: labels,
    SecretString: version.value,
    CreatedDate: version.createdAt / 1000,
  });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
  response.end(JSON.stringify(body));
}
