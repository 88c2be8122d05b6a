import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type Postgres } from '../../local/postgres/start.ts';
import { opaqueCase } from '../contract/cases/opaque.ts';
import { AgentServer } from '../fakes/agent-server.ts';
import { startKeyServer } from '../fakes/key-server.ts';
import { startFakeMysql } from '../fakes/mysql-server.ts';
import { startSecretsManager } from '../fakes/secrets-manager-server.ts';
import { AGENT, AgentApiWorld } from '../support/agent-api.ts';
import { MemoryAgentStore, MemorySealer } from '../support/agent-parts.ts';
import { ServedDirectory } from '../support/directory.ts';
import { IssuingServer } from '../support/issuing-server.ts';
import { IssuingWorld } from '../support/issuing.ts';
import { McpTools } from '../support/mcp.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const SUBPATHS = [
  '',
  '/secrets-manager',
  '/pg',
  '/mysql2',
  '/fetch',
  '/openai',
  '/anthropic',
  '/mcp',
  '/agent',
  '/sigv4',
  '/queue',
  '/sqs',
  '/verify',
  '/tls',
];

/** A folder inside the checkout, so that drivers and SDKs are found; the package itself comes from its tarball. */
let folder: string;
let packed: { readonly filename: string; readonly files: readonly { readonly path: string }[] };

beforeAll(async () => {
  await mkdir(join(root, '.cache'), { recursive: true });
  folder = await mkdtemp(join(root, '.cache', 'client-package-'));
  const pack = ['pack', '--json', '--pack-destination', folder];
  const { stdout } = await run('npm', pack, { cwd: join(root, 'client') });
  // What the build says stands before the list.
  [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [typeof packed];
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  await run('npm', ['install', '--offline', '--no-audit', join(folder, packed.filename)], { cwd: folder });
}, 120_000);
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function script(name: string, text: string): Promise<string> {
  await writeFile(join(folder, name), text);
  const { stdout } = await run(process.execPath, [join(folder, name)], { cwd: folder });
  return stdout;
}

/** A bundle of what `text` needs. */
async function bundle(text: string): Promise<string> {
  const stdin = { contents: text, resolveDir: folder };
  const external = ['@aws-sdk/*', '@smithy/*', 'pg', 'mysql2'];
  const { outputFiles } = await build({
    stdin,
    external,
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'node',
    // The installed package, not the sources that the checkout's paths name.
    tsconfigRaw: {},
    logLevel: 'error',
  });
  return outputFiles[0]?.text ?? '';
}

describe('the package', () => {
  it('has the build, a README and the licence, and no dependency', async () => {
    const paths = packed.files.map(({ path }) => path).filter((path) => !path.startsWith('dist/'));
    expect(paths.sort()).toEqual(['LICENSE', 'README.md', 'package.json']);
    const text = await readFile(join(folder, 'node_modules', '@rekey', 'client', 'package.json'), 'utf8');
    expect(JSON.parse(text)).not.toHaveProperty('dependencies');
    expect(await readFile(join(root, 'client', 'LICENSE'), 'utf8')).toBe(
      await readFile(join(root, 'LICENSE'), 'utf8'),
    );
  });

  it('installs nothing else into an empty folder, and works there', async () => {
    expect((await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'))).toEqual([
      '@rekey',
    ]);
    const text = `
      import { createCredentialSource } from '@rekey/client';
      const vault = { read: async () => ({ versionId: 'v1', stages: ['AWSCURRENT'], createdAt: 1, value: 'key' }) };
      const source = await createCredentialSource({ secretId: 's', vault, lifetimeSeconds: 60 });
      console.log(await source.use((credential) => credential.reveal()));`;
    // It also ends: its timers keep no process alive.
    expect(await script('use.mjs', text)).toBe('key\n');
  });

  it('gives every subpath that it names', async () => {
    const text = SUBPATHS.map(
      (path) => `console.log(Object.keys(await import('@rekey/client${path}')).length > 0);`,
    );
    expect(await script('subpaths.mjs', text.join('\n'))).toBe('true\n'.repeat(SUBPATHS.length));
  });

  it('has types of its own', async () => {
    const text = `
      import { createCredentialSource, type Credential } from '@rekey/client';
      ${SUBPATHS.slice(1)
        .map((path, at) => `import * as part${at} from '@rekey/client${path}';`)
        .join('\n')}
      export const parts = [${SUBPATHS.slice(1)
        .map((_path, at) => `part${at}`)
        .join(', ')}];
      declare const vault: Parameters<typeof createCredentialSource>[0]['vault'];
      const source = await createCredentialSource({ secretId: 's', vault, lifetimeSeconds: 60 });
      const credential: Credential = source.current();
      const text: string = credential.reveal();
      // @ts-expect-error a credential is no text
      const wrong: string = source.current();
      export { text, wrong };`;
    await writeFile(join(folder, 'types.ts'), text);
    const tsc = join(root, 'node_modules', '@typescript', 'native', 'bin', 'tsc');
    const options = ['--noEmit', '--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable'];
    const modules = ['--module', 'nodenext', '--types', 'node', '--skipLibCheck', '--ignoreConfig'];
    const checking = run(process.execPath, [tsc, ...options, ...modules, join(folder, 'types.ts')], {
      cwd: folder,
    });
    await expect(checking).resolves.toMatchObject({ stdout: '' });
  });

  it('leaves out of a bundle what is not imported', async () => {
    expect((await bundle(`export { isCredentialError } from '@rekey/client';`)).length).toBeLessThan(1_000);
    const source = await bundle(`export { createCredentialSource } from '@rekey/client';`);
    expect(source).not.toContain('GetSecretValue');
    expect(source).not.toContain('authorization');
    // Who needs no session carries none, and who has one signs as it likes.
    expect(source).not.toContain('heartbeat');
    const session = await bundle(`export { openAgentSession } from '@rekey/client/agent';`);
    expect(session).toContain('heartbeat');
    for (const part of ['smithy', 'GetSecretValue', 'ReceiveMessage', 'AWSPENDING']) {
      expect(session).not.toContain(part);
    }
    expect((await bundle(`import '@rekey/client'; import '@rekey/client/agent';`)).trim()).toBe('');
  });
});

describe('the example', () => {
  let database: Postgres;
  beforeAll(async () => {
    database = await startPostgres();
  }, 60_000);
  afterAll(async () => database.stop(), 30_000);

  async function example(
    name: string,
    value: string,
    env: Readonly<Record<string, string>>,
    before: (versionId: string) => Promise<void> = async () => undefined,
  ): Promise<string> {
    await copyFile(join(root, 'examples', 'client', name), join(folder, name));
    await using vault = await startSecretsManager(value);
    await before(vault.put(value, 'AWSCURRENT'));
    const aws = {
      AWS_ENDPOINT_URL: vault.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 's',
    };
    const options = { cwd: folder, timeout: 60_000, env: { PATH: process.env['PATH'], ...aws, ...env } };
    const { stdout } = await run(process.execPath, [join(folder, name)], options);
    return stdout;
  }

  const login = (username: string, password: string): string => JSON.stringify({ username, password });

  it('of a pool of pg runs', async () => {
    const { host, port, caPem, superuser } = database;
    await writeFile(join(folder, 'ca.pem'), caPem);
    const env = {
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: 'postgres',
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
    };
    const said = await example('pg-pool.ts', login(superuser.user, superuser.password), env);
    expect(said).toBe('logged in as postgres\n');
  });

  it('of an agent runs: it proves in an open window what it holds, works, and leaves', async () => {
    const { host, port, caPem, superuser } = database;
    await writeFile(join(folder, 'ca.pem'), caPem);
    const store = new MemoryAgentStore();
    const world = new AgentApiWorld(() => ({ agents: store, sealer: new MemorySealer() }));
    world.now = Date.now();
    await using api = new AgentServer(world);
    await api.listen();
    const env = {
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: 'postgres',
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
      AGENT_API: api.url,
      AGENT,
      TASKS: '3',
    };
    const value = login(superuser.user, superuser.password);
    const said = await example('agent.ts', value, env, async (versionId) =>
      world.openWindow({}, { versionId, value }),
    );
    expect(said).toBe('done 3\n');
    const calls = api.calls.map(({ what, status }) => [what, status]);
    expect(calls.slice(0, 3)).toEqual([
      ['pact', 200],
      ['sessions', 201],
      ['heartbeat', 200],
    ]);
    expect(calls.at(-1)).toEqual(['close', 200]);
    expect(store.said).toMatchObject([{ agent: AGENT, persisted: true }]);
    expect(api.violations).toEqual([]);
    expect(api.signatures.every((each) => each.startsWith('AWS4-HMAC-SHA256 Credential=a/'))).toBe(true);
  });

  it('of a pool of mysql2 runs', async () => {
    const server = await startFakeMysql();
    await server.setPassword('app', 'secret');
    const env = { MYSQL_HOST: '127.0.0.1', MYSQL_PORT: String(server.port) };
    expect(await example('mysql-pool.ts', login('app', 'secret'), env)).toBe('logged in as app\n');
    await server.stop();
  });

  it.each([
    ['http.ts', 'answered 200\n'],
    ['openai.ts', 'done with key\n'],
    ['anthropic.ts', 'done with key\n'],
  ])('%s runs', async (name, said) => {
    await using server = await startKeyServer('key');
    const env = { API_URL: server.url, OPENAI_BASE_URL: `${server.url}/v1`, ANTHROPIC_BASE_URL: server.url };
    expect(await example(name, 'key', env)).toBe(said);
  });

  it('of an agent on MCP tools runs', async () => {
    await using tools = await McpTools.start(async (token) => token === 'an-access-token');
    const value = '{"access_token":"an-access-token","token_type":"Bearer"}';
    expect(await example('mcp.ts', value, { MCP_URL: tools.url.href })).toBe('greet\n');
  });

  it('of a verifier runs: it takes what is published, and refuses the same once it is revoked', async () => {
    await using served = await ServedDirectory.start();
    const its = opaqueCase();
    const { provider } = its;
    const target = provider.target(await its.target('shop-agent'));
    const ctx = served.context();
    const token = '00000000-0000-4000-8000-000000000001';
    const { handle, material } = await provider.issue(target, token, { ...ctx, generation: 1 });
    const env = { DIRECTORY: served.url, TOKEN: material.reveal().token };
    expect(await example('verifier.ts', 'unused', env)).toBe('agent agent-1 may orders:read\n');
    await provider.revoke(target, handle, { endSessions: true }, ctx);
    expect(await example('verifier.ts', 'unused', env)).toBe('refused\n');
  });

  it('of mutual TLS runs: two ends know each other by certificates whose keys were made there', async () => {
    const world = await IssuingWorld.start();
    await using served = await IssuingServer.start(world);
    const env = { API: served.url, DIRECTORY: served.url };
    const greeting = /^hello, spiffe:\/\/agents\.shop\.example\/agent\/checkout\/host-\d+\n$/;
    expect(await example('tls.ts', 'unused', env)).toMatch(greeting);
    expect(served.asked).toHaveLength(1);
  });

  it('of a Lambda function runs', async () => {
    await copyFile(join(root, 'examples', 'client', 'lambda.ts'), join(folder, 'lambda.ts'));
    await using vault = await startSecretsManager('key');
    const text = `import { handler } from './lambda.ts'; console.log(typeof (await handler()).versionId);`;
    await writeFile(join(folder, 'invoke.mjs'), text);
    const env = {
      AWS_ENDPOINT_URL: vault.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 's',
    };
    const { stdout } = await run(process.execPath, [join(folder, 'invoke.mjs')], {
      cwd: folder,
      timeout: 60_000,
      env,
    });
    expect(stdout).toBe('string\n');
  });
});
