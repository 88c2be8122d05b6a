import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { familyView } from '../../../shared/api/family-view.ts';
import { credentialView } from '../../../shared/api/views.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { STACK_ROLES, stackName } from '../../../shared/names.ts';
import { REKEY_VERSION } from '../../../shared/version.ts';
import { credentialOf, FAMILY } from '../api/fakes.ts';
import { refusal, rekey, startStandIn, type Ran, type Reply, type Seen, type StandIn } from './stand-in.ts';

let stand: StandIn;
beforeEach(async () => {
  stand = await startStandIn();
});
afterEach(async () => {
  await stand.close();
});

const OK = { area: 'secret', name: 'exists', state: 'ok', detail: 'agents/orders' };
const WARN = { area: 'holders', name: 'declared', state: 'warn', detail: 'none', remedy: 'declare them' };
const FAIL = { area: 'secret', name: 'tags', state: 'fail', detail: 'untagged', remedy: 'tag it' };
const UNCHECKED = {
  area: 'target',
  name: 'login',
  state: 'not-checked',
  detail: 'unknown',
  remedy: 'try again',
};

/** Outputs of the stacks; here each has all of them. */
const OUTPUTS = { AlarmTopic: 'arn:topic', ReadersSetting: 'observe' };

const TRAIL = { Name: 'main', TrailARN: 'arn:trail/main', HasCustomEventSelectors: true };

/** What CloudTrail answers, by operation. */
const TRAILS: Readonly<Record<string, Reply>> = {
  DescribeTrails: { body: { trailList: [TRAIL] } },
  GetTrailStatus: { body: { IsLogging: true } },
  GetEventSelectors: { body: { EventSelectors: [{ ReadWriteType: 'All', IncludeManagementEvents: true }] } },
};

interface Otherwise {
  readonly stacks?: Record<string, string>;
  readonly sns?: Reply;
  readonly trails?: Record<string, Reply>;
  readonly outputs?: Record<string, string>;
}

/** CloudFormation, SNS and CloudTrail of a deployment; what is given isn't as usual. */
function aws({ stacks = {}, sns, trails = {}, outputs = OUTPUTS }: Otherwise = {}) {
  return ({ body, headers }: Seen): Reply => {
    const target = String(headers['x-amz-target'] ?? '');
    const operation = target.slice(target.lastIndexOf('.') + 1);
    if (target !== '') return trails[operation] ?? TRAILS[operation] ?? { status: 400 };
    const asked = new URLSearchParams(String(body));
    if (asked.get('Action') === 'GetTopicAttributes') {
      const counts = { SubscriptionsConfirmed: 2, SubscriptionsPending: 0 };
      const entries = Object.entries(counts).map(
        ([key, n]) => `<entry><key>${key}</key><value>${n}</value></entry>`,
      );
      return sns ?? { type: 'text/xml', text: `<Attributes>${entries.join('')}</Attributes>` };
    }
    const name = asked.get('StackName') ?? '';
    const status = stacks[name] ?? (/-(network|verifiers)$/.test(name) ? 'absent' : 'UPDATE_COMPLETE');
    if (status === 'absent')
      return {
        status: 400,
        text: `<Error><Code>ValidationError</Code><Message>Stack with id ${name} does not exist</Message></Error>`,
      };
    if (status === 'denied')
      return {
        status: 403,
        text: '<Error><Code>AccessDenied</Code><Message>User: arn:x is not authorized</Message></Error>',
      };
    const members = Object.entries(outputs)
      .map(
        ([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`,
      )
      .join('');
    return { type: 'text/xml', text: `<member><StackStatus>${status}</StackStatus>${members}</member>` };
  };
}

function deployed(
  checks: Record<string, readonly object[]>,
  {
    upstreams = {},
    admin = '',
    ...more
  }: Otherwise & { readonly upstreams?: Record<string, object>; readonly admin?: string } = {},
): void {
  stand.routes = {
    'POST /': aws(more),
    'GET /v1/diagnosis': { body: { version: REKEY_VERSION, checks: [] } },
    'GET /v1/credentials': {
      body: {
        credentials: Object.keys(checks).map((name) => ({
          ...credentialView(credentialOf({ name })),
          admin,
        })),
      },
    },
    ...Object.fromEntries(
      Object.entries(checks).map(([name, own]) => [
        `GET /v1/credentials/${name}/diagnosis`,
        { body: { credential: name, checks: own, ...upstreams[name] } },
      ]),
    ),
  };
}

const command = (): string[] => ['doctor', '--stage', 'prod', '--api-url', stand.url];
const doctor = (...args: string[]): Promise<Ran> =>
  rekey(stand, [...command(), ...args], { env: { AWS_ENDPOINT_URL: stand.url } });

describe('rekey doctor', () => {
  it('names administrative secrets in use that nobody has declared as a root, with what to do', async () => {
    deployed({ orders: [OK], shop: [OK] }, { admin: 'admin/shop' });
    const { exit, stdout } = await doctor();
    expect(exit).toBe(0);
    expect(stdout).toMatch(/warn +roots +.*admin\/shop \(used by orders, shop\)/);
    expect(stdout).toMatch(/remedy: declare each under roots: in rekey.yaml/);
  });

  it('ends with 0 where all is well, and a line for each check', async () => {
    deployed({ orders: [OK] });
    const { exit, stdout, stderr } = await doctor();
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/ok +control API +answers, version/);
    expect(stdout).toMatch(/ok +rekey-prod-state +complete/);
    expect(stdout).toMatch(/ok +alarms +reach 2 destinations/);
    expect(stdout).toMatch(/ok +reads of secrets +are logged by the trail main/);
    expect(stdout).toMatch(/orders\n {2}ok +secret: exists +agents\/orders\n/);
    expect(stdout).not.toMatch(/rekey-prod-(network|verifiers)/);
    expect(stdout).not.toContain('\nto be mended');
  });

  it('tells what exists at the upstreams that no credential has, once for each owner, where it looks at all', async () => {
    const survey = {
      owner: 'openai:api.openai.com:proj_1/sa_1',
      credentials: [{ id: 'key_1' }, { id: 'key_2' }, { id: 'key_3', name: 'old bot', lastUsed: null }],
    };
    const upstreams = { chat: { held: ['key_1'], survey }, search: { held: ['key_2'], survey } };
    deployed({ chat: [OK], search: [OK] }, { upstreams });
    const { exit, stdout } = await doctor();
    expect(exit).toBe(0);
    const told =
      'openai:api.openai.com:proj_1/sa_1: 1 that no registered credential has: key_3 ("old bot", never used)';
    expect(stdout).toContain(told);
    expect(stdout.split(told)).toHaveLength(2);
    expect((await doctor('chat')).stdout).not.toContain('key_2');
    const { upstreams: all } = JSON.parse((await doctor('--json')).stdout);
    expect(all.unregistered).toEqual([{ owner: survey.owner, credentials: [survey.credentials[2]] }]);
  });

  it('ends with 3 where something must be mended, which comes last with its remedy, even if more was not checked', async () => {
    deployed({ orders: [OK, WARN], reports: [FAIL, UNCHECKED] });
    const { exit, stdout } = await doctor();
    expect(exit).toBe(3);
    const parts = [
      'to know',
      'declare them',
      'not checked',
      'try again',
      'to be mended',
      'reports, secret: tags: untagged',
      'remedy: tag it',
    ];
    const end = stdout.slice(stdout.indexOf('\nto know'));
    expect(parts.map((part) => end.indexOf(part))).toEqual(
      parts.map((part) => end.indexOf(part)).toSorted((a, b) => a - b),
    );
    expect(parts.every((part) => end.includes(part))).toBe(true);
    expect(stdout).toMatch(/1 to know, 1 not checked, 1 to be mended\n$/);
  });

  it('lists what would fail within a day if Rekey stopped now, also as data', async () => {
    const failsAt = new Date(Date.now() + 3_600_000).toISOString();
    const upstreams = {
      orders: { outage: { failsAt, why: 'it ends by itself, and nobody makes another' } },
      reports: { outage: { why: 'nothing ends it by itself' } },
    };
    deployed({ orders: [OK], reports: [OK] }, { upstreams });
    const { exit, stdout } = await doctor();
    expect(exit).toBe(0);
    expect(stdout).toContain(
      `if Rekey stops now\n  warn         a day without Rekey  orders from ${failsAt} on\n`,
    );
    const told = JSON.parse((await doctor('--json')).stdout);
    expect(told.credentials[0].outage).toEqual(upstreams.orders.outage);
    expect(told.stopped.checks).toMatchObject([
      {
        name: 'a day without Rekey',
        state: 'warn',
        remedy: expect.stringContaining('at their line "without Rekey"') as string,
      },
    ]);
    deployed({ reports: [OK] }, { upstreams });
    expect((await doctor()).stdout).toMatch(/ok +a day without Rekey +nothing fails/);
  });

  it('counts token families among what fails without Rekey, listed or named', async () => {
    const outage = { why: 'nothing ends it by itself' };
    deployed({ reports: [OK] }, { upstreams: { reports: { outage } } });
    const view = familyView(FAMILY);
    Object.assign(stand.routes, {
      'GET /v1/families': { body: { families: [view] } },
      'GET /v1/families/crm': { body: { family: view } },
      'GET /v1/families/crm/diagnosis': { body: { family: 'crm', checks: [] } },
      'GET /v1/credentials/crm/diagnosis': refusal(new RekeyError('ERR_NOT_FOUND', 'no credential "crm"')),
    });
    const told = `a day without Rekey  crm from ${view.tokens?.expiresAt} on`;
    expect((await doctor()).stdout).toContain(told);
    expect((await doctor('reports', 'crm')).stdout).toContain(told);
  });

  it('ends with 10 where something could not be checked; what one should know changes nothing', async () => {
    deployed({ orders: [UNCHECKED, WARN] });
    expect((await doctor()).exit).toBe(10);
    deployed({ orders: [WARN] });
    expect((await doctor()).exit).toBe(0);
  });

  it('limits itself to the credentials that are named', async () => {
    deployed({ orders: [OK], reports: [FAIL] });
    const { exit, stdout } = await doctor('orders', '--json');
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      deployment: {
        checks: expect.arrayContaining([expect.objectContaining({ name: 'control API', state: 'ok' })]),
      },
      credentials: [{ credential: 'orders', checks: [OK] }],
      tally: { fail: 0, warn: 0, 'not-checked': 0 },
    });
    expect(stand.seen.map(({ path }) => path)).not.toContain('/v1/credentials');
  });

  it('asks for many in their order, a few at once, and says how far it has come', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_each, n) => [`c${String(n).padStart(2, '0')}`, [OK]]),
    );
    deployed(many);
    const { stdout, stderr } = await rekey(stand, command(), {
      env: { AWS_ENDPOINT_URL: stand.url },
      tty: true,
    });
    const order = [...stdout.matchAll(/c\d\d/g)].map(([name]) => name);
    expect(order).toEqual(Object.keys(many));
    expect(stderr).toContain('checked 30 of 30');
  });

  it('tells a stack that is missing, broken or not to be seen apart', async () => {
    deployed(
      {},
      {
        stacks: {
          'rekey-prod-incident': 'absent',
          'rekey-prod-api': 'UPDATE_ROLLBACK_FAILED',
          'rekey-prod-state': 'denied',
        },
      },
    );
    const { exit, stdout } = await doctor();
    expect(exit).toBe(3);
    expect(stdout).toMatch(/fail +rekey-prod-incident +there is no such stack/);
    expect(stdout).toMatch(/fail +rekey-prod-api +it is UPDATE_ROLLBACK_FAILED/);
    expect(stdout).toMatch(
      /not checked +rekey-prod-state +CloudFormation refuses to describe it \(AccessDenied\)/,
    );
  });

  it('says where the stage is another', async () => {
    const none = Object.fromEntries(STACK_ROLES.map((role) => [stackName('prod', role), 'absent']));
    deployed({}, { stacks: none });
    const { exit, stdout } = await doctor();
    expect([exit, stdout]).toEqual([3, expect.stringContaining('pass the --stage')]);
  });

  it('does not take a topic that it may not see for one that reaches nobody', async () => {
    deployed(
      {},
      { sns: { status: 403, text: '<Error><Code>AuthorizationError</Code><Message>no</Message></Error>' } },
    );
    const { exit, stdout } = await doctor();
    expect(exit).toBe(10);
    expect(stdout).toMatch(/not checked +alarms +SNS refuses/);
  });

  it('says where nobody would see who reads a secret, and asks no trail more than it has to', async () => {
    deployed({}, { trails: { DescribeTrails: { body: { trailList: [] } } } });
    const none = await doctor();
    expect([none.exit, none.stdout]).toEqual([
      0,
      expect.stringMatching(/warn +reads of secrets +are seen by nobody/),
    ]);
    const usual = { ...TRAIL, HasCustomEventSelectors: false };
    deployed({}, { trails: { DescribeTrails: { body: { trailList: [usual] } } } });
    stand.seen.length = 0;
    expect((await doctor()).stdout).toMatch(/ok +reads of secrets/);
    const asked = stand.seen.filter(({ headers }) => headers['x-amz-target'] !== undefined);
    expect(asked.map(({ headers, body }) => [headers['x-amz-target'], body])).toEqual([
      ['com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DescribeTrails', {}],
      ['com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.GetTrailStatus', { Name: 'arn:trail/main' }],
    ]);
  });

  it('does not take a trail that it may not see for one that logs nothing', async () => {
    const denied = { status: 400, body: { __type: 'AccessDeniedException', Message: 'no' } };
    for (const operation of ['DescribeTrails', 'GetTrailStatus', 'GetEventSelectors']) {
      deployed({}, { trails: { [operation]: denied } });
      const { exit, stdout } = await doctor();
      expect(exit).toBe(10);
      expect(stdout).toMatch(/not checked +reads of secrets/);
      expect(stdout).toMatch(new RegExp(`remedy: allow you .*cloudtrail:${operation}`));
    }
    deployed({}, { trails: { DescribeTrails: 'cut' } });
    expect((await doctor()).stdout).toMatch(/not checked +reads of secrets +CloudTrail at .* did not answer/);
  });

  it('asks for no trail where reads are not to be seen, or a version before does not say', async () => {
    deployed({}, { outputs: { ...OUTPUTS, ReadersSetting: 'off' } });
    const off = await doctor();
    expect([off.exit, off.stdout]).toEqual([0, expect.not.stringContaining('reads of secrets')]);
    const { AlarmTopic } = OUTPUTS;
    deployed({}, { outputs: { AlarmTopic } });
    const before = await doctor();
    expect([before.exit, before.stdout]).toEqual([
      10,
      expect.stringMatching(/not checked +reads of secrets +the stack rotation does not say/),
    ]);
    expect(stand.seen.filter(({ headers }) => headers['x-amz-target'] !== undefined)).toEqual([]);
    deployed({}, { stacks: { 'rekey-prod-rotation': 'denied' } });
    expect((await doctor()).stdout).toMatch(
      /deployment, reads of secrets: .*\n +remedy: .*cloudformation:DescribeStacks/,
    );
  });

  it('says once that no region is known, or that no stack may be seen, and asks for no new deployment', async () => {
    const lost = await rekey(stand, ['doctor', '--stage', 'prod'], {
      env: { REKEY_API_URL: '', AWS_REGION: '', AWS_DEFAULT_REGION: '' },
    });
    expect(lost.stdout.match(/ {2}remedy: /g)).toHaveLength(1);
    expect(lost.stdout).toContain('no region is known');
    deployed(
      {},
      { stacks: Object.fromEntries(STACK_ROLES.map((role) => [stackName('prod', role), 'denied'])) },
    );
    const denied = await doctor();
    expect(denied.stdout.match(/remedy: .*/g)).toEqual([
      'remedy: allow you cloudformation:DescribeStacks on it',
    ]);
  });

  it('gives for alarms and reads the reason why their stacks can not be seen', async () => {
    deployed({}, { stacks: { 'rekey-prod-monitoring': 'denied', 'rekey-prod-rotation': 'denied' } });
    const { stdout } = await doctor();
    expect(stdout).not.toContain('deploy this version');
    expect(stdout).toMatch(/not checked +alarms +CloudFormation refuses/);
  });

  it('goes on without an API that knows no diagnosis, and without one that does not answer', async () => {
    deployed({});
    stand.routes['GET /v1/diagnosis'] = { status: 404, body: { message: 'Not Found' } };
    const old = await doctor();
    expect([old.exit, old.stdout]).toEqual([10, expect.stringContaining('deploy this version')]);
    stand.routes['GET /v1/diagnosis'] = 'cut';
    const silent = await doctor();
    expect([silent.exit, silent.stdout]).toEqual([
      3,
      expect.stringMatching(/fail +control API +the control API at .* can't be reached/),
    ]);
    expect(silent.stdout).toMatch(/ok +rekey-prod-state/);
  });

  it('tells what it has found, should the credentials not be listed', async () => {
    deployed({});
    stand.routes['GET /v1/credentials'] = { status: 403, body: { message: 'Forbidden' } };
    const { exit, stdout } = await doctor();
    expect(exit).toBe(10);
    expect(stdout).toMatch(/ok +rekey-prod-state/);
    expect(stdout).toContain('needs execute-api:Invoke on this route');
  });

  it('tells a credential that is not there from one that could not be asked about', async () => {
    deployed({ orders: [OK] });
    stand.routes['GET /v1/credentials/orders/diagnosis'] = {
      status: 504,
      body: { message: 'Endpoint request timed out' },
    };
    const problem = {
      type: 'x',
      title: 'x',
      status: 404,
      detail: 'no credential "ghost"',
      code: 'ERR_NOT_FOUND',
    };
    stand.routes['GET /v1/credentials/ghost/diagnosis'] = {
      status: 404,
      body: problem,
      type: 'application/problem+json',
    };
    const { exit, stdout } = await doctor('orders', 'ghost');
    expect(exit).toBe(3);
    expect(stdout).toMatch(/orders\n {2}not checked/);
    expect(stdout).toMatch(/ghost\n {2}fail .*no credential "ghost"/);
  });
});
