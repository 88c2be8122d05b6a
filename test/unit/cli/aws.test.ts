import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AwsContext, checkedUrl } from '../../../cli/aws.ts';
import { OUTPUT } from '../../../shared/names.ts';
import { ENV, rekey, startStandIn, type Ran, type StandIn } from './stand-in.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

let stand: StandIn;
let folder: string;
beforeEach(async () => {
  stand = await startStandIn();
  folder = await mkdtemp(join(tmpdir(), 'rekey-'));
});
afterEach(async () => {
  await stand.close();
  await rm(folder, { recursive: true });
});

function stacks(...outputs: [key: string, value: string][]): string {
  const members = outputs.map(
    ([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`,
  );
  return `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>x</StackName><Outputs>${members.join('')}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`;
}

describe('the address of the API', () => {
  it('comes from the output of the stage’s stack, under the name that infra gives it', async () => {
    expect(OUTPUT.apiUrl).toBe(OUTPUT.apiUrl);
    stand.routes['POST /'] = {
      text: stacks(['Other', 'x'], ['ApiUrl', `${stand.url}/a&amp;b/`]),
      type: 'text/xml',
    };
    stand.routes['GET /a&b/v1/credentials'] = { body: { credentials: [] } };
    const ran = await rekey(undefined, ['list', '--endpoint-url', stand.url, '--stage', 'prod']);
    expect(ran).toMatchObject({ exit: 0 });
    expect(stand.seen[0]?.body).toContain('StackName=rekey-prod-api');
    expect(stand.seen[0]?.headers.authorization).toContain('/eu-central-1/cloudformation/aws4_request');
  });

  it('is asked for where AWS_ENDPOINT_URL points', async () => {
    stand.routes['POST /'] = { text: stacks(), type: 'text/xml' };
    const ran = await rekey(undefined, ['list'], { env: { AWS_ENDPOINT_URL: stand.url } });
    expect(ran.exit).toBe(1);
    expect(ran.stderr).toContain('has no output ApiUrl');
    expect(stand.seen[0]?.body).toContain('StackName=rekey-dev-api');
  });

  it('is missing where there is no such stack, with what to do', async () => {
    stand.routes['POST /'] = {
      status: 400,
      text: '<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id rekey-dev-api does not exist</Message></Error></ErrorResponse>',
      type: 'text/xml',
    };
    const ran = await rekey(undefined, ['list', '--endpoint-url', stand.url]);
    expect(ran.exit).toBe(1);
    expect(ran.stderr).toMatch(/no stack rekey-dev-api in eu-central-1[\s\S]*--stage/);
  });

  it('is that of the stage which the command line names, whatever the environment has', async () => {
    stand.routes['GET /v1/credentials'] = { body: { credentials: [] } };
    stand.routes['POST /'] = { text: stacks(), type: 'text/xml' };
    const env = { AWS_ENDPOINT_URL: stand.url, REKEY_API_URL: stand.url };
    expect((await rekey(stand, ['list'], { env })).exit).toBe(0);
    const other = await rekey(stand, ['list', '--stage', 'prod'], { env });
    expect([other.exit, other.stderr]).toEqual([1, expect.stringContaining('has no output ApiUrl')]);
    expect((await rekey(stand, ['list', '--stage', 'prod', '--api-url', stand.url], { env })).exit).toBe(0);
    const both = { ...env, REKEY_STAGE: 'prod' };
    expect((await rekey(stand, ['list', '--stage', 'prod'], { env: both })).exit).toBe(0);
  });

  it('is plain http on this machine only', () => {
    expect(checkedUrl('http://127.0.0.1:1/x/', 'it')).toBe('http://127.0.0.1:1/x');
    expect(checkedUrl('http://abc.execute-api.localhost:4566', 'it')).toBe(
      'http://abc.execute-api.localhost:4566',
    );
    for (const bad of ['http://10.0.0.1', 'http://localhost.example.com', 'file:///x', 'x']) {
      expect(() => checkedUrl(bad, 'it')).toThrow('it');
    }
  });
});

describe('region, profile and endpoint', () => {
  it('come from options, then the environment, then the profile, as for the AWS CLI', async () => {
    const config = join(folder, 'config');
    await writeFile(
      config,
      '[default]\nregion = eu-west-1\n[profile work]\nregion=us-east-2\nendpoint_url = http://localhost:1\ns3 =\n  region = nowhere\n',
    );
    const env = { AWS_CONFIG_FILE: config };
    const of = (options: object, more: Record<string, string> = {}): AwsContext =>
      new AwsContext(options, { ...env, ...more });
    expect(await of({}).region()).toBe('eu-west-1');
    expect(await of({ profile: 'work' }).region()).toBe('us-east-2');
    expect(await of({}, { AWS_PROFILE: 'work' }).region()).toBe('us-east-2');
    expect(await of({ profile: 'work' }, { AWS_DEFAULT_REGION: 'ap-east-1' }).region()).toBe('ap-east-1');
    expect(await of({}, { AWS_DEFAULT_REGION: 'ap-east-1', AWS_REGION: 'ca-west-1' }).region()).toBe(
      'ca-west-1',
    );
    expect(await of({ region: 'sa-east-1' }, { AWS_REGION: 'ca-west-1' }).region()).toBe('sa-east-1');
    expect(await of({ profile: 'work' }).endpoint()).toBe('http://localhost:1');
    expect(await of({}, { AWS_ENDPOINT_URL: 'http://localhost:2' }).endpoint()).toBe('http://localhost:2');
    expect(
      await of({ profile: 'work' }, { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' }).endpoint(),
    ).toBeUndefined();
    await expect(of({ profile: 'nobody' }).region()).rejects.toThrow('no region');
    await expect(of({ region: 'evil.example.com/' }).region()).rejects.toThrow('not a region');
  });

  it('sign with the region that the address of the API names', async () => {
    const aws = new AwsContext({}, ENV);
    const { headers } = await aws.sign('execute-api', 'https://a1b2.execute-api.us-west-2.amazonaws.com/v1', {
      method: 'GET',
      headers: {},
    });
    expect(headers.get('authorization')).toContain('/us-west-2/execute-api/');
  });
});

describe('cli/rekey.mjs', () => {
  const start = (program: string, args: string[], env: Record<string, string>): Promise<Ran> =>
    new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [program, ...args],
        { env, timeout: 30_000 },
        (_error, stdout, stderr) => {
          resolve({ exit: child.exitCode ?? -1, stdout, stderr });
        },
      );
    });

  it('starts the command line as a process of its own, with its exit code and its output', async () => {
    stand.routes['GET /v1/credentials'] = { body: { credentials: [] } };
    const env = { ...ENV, REKEY_API_URL: stand.url };
    const ran = await start(join(root, 'cli/rekey.mjs'), ['list', '--json'], env);
    expect(ran).toEqual({ exit: 0, stdout: '{\n  "credentials": [],\n  "families": []\n}\n', stderr: '' });
    expect((await start(join(root, 'cli/rekey.mjs'), ['nonsense'], env)).exit).toBe(2);
  });

  it('says what to run where the set-up is missing', async () => {
    await mkdir(join(folder, 'cli'));
    await cp(join(root, 'cli/rekey.mjs'), join(folder, 'cli/rekey.mjs'));
    const ran = await start(join(folder, 'cli/rekey.mjs'), ['list'], {});
    expect(ran.exit).toBe(1);
    expect(ran.stderr).toContain('npm run setup');
  });

  it('finds the credentials of a profile through the chain of the SDK', async () => {
    stand.routes['GET /v1/credentials'] = { body: { credentials: [] } };
    const shared = join(folder, 'credentials');
    await writeFile(
      shared,
      '[work]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = not-a-real-key\n',
    );
    const env = { ...ENV, AWS_SHARED_CREDENTIALS_FILE: shared, REKEY_API_URL: stand.url };
    const ran = await start(join(root, 'cli/rekey.mjs'), ['list', '--profile', 'work'], env);
    expect(ran.stderr).toBe('');
    expect(stand.seen[0]?.headers.authorization).toContain('Credential=AKIDPROFILE/');
    const missing = await start(join(root, 'cli/rekey.mjs'), ['list', '--profile', 'nobody'], env);
    expect(missing.exit).toBe(1);
    expect(missing.stderr).toContain('no AWS credentials');
  });
});
