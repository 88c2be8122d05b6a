import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { LOCAL_ACCOUNT, readSettings, SettingsError, type SettingsInput } from '../../infra/config.ts';
import { settingsJsonSchema } from '../../infra/settings-schema.ts';
import { localAccountId } from '../../local/settings.ts';
import { ROOT_TYPES } from '../../shared/names.ts';
import { readJson, root } from './app.ts';

const SUBNETS = [
  { id: 'subnet-0a1b2c3d', zone: 'eu-central-1a' },
  { id: 'subnet-1a1b2c3d', zone: 'eu-central-1b' },
];
const NETWORK = { vpcId: 'vpc-0a1b2c3d', subnets: SUBNETS, securityGroupIds: ['sg-0a1b2c3d'] };
const CREATE = { ...NETWORK, endpoints: 'create', dedicatedRouteTableIds: ['rtb-0a1b2c3d'] };

/** Settings that differ from usable ones in their network. */
const network = (change: object, base: object = NETWORK): SettingsInput => ({
  settings: { network: { ...base, ...change } },
});

/** `field: message` of everything that is refused. */
function refused(input: SettingsInput): string[] {
  try {
    readSettings(input);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return error.problems.map(({ field, message }) => `${field}: ${message}`);
  }
  return [];
}

describe('settings of a stage', () => {
  it('are complete without any input', () => {
    expect(readSettings({})).toMatchObject({
      stage: 'dev',
      tenant: 'default',
      alarms: { emails: [], webhooks: [] },
      archiveLock: { mode: 'governance', days: 1 },
      archiveReaders: [],
      timing: { rotateTimeoutSeconds: 3600, reconcileEverySeconds: 300, stuckAfterSeconds: 900 },
    });
    expect(readSettings({}).timing.minWindowSeconds).toBeUndefined();
  });

  it.each([
    ['http://status.example.com', []],
    ['https://status.example.com/rekey', []],
    ['ftp://status.example.com', ['statusUrl: an address that begins with http://']],
    ['status.example.com', ['statusUrl: an address that begins with http://']],
    ['http://status.example.com/?a=b', ['statusUrl: an address without query']],
    ['http://me:secret@status.example.com/', ['statusUrl: an address without query']],
  ])('name where certificates say that revocations are told: %s', (statusUrl, said) => {
    expect(refused({ settings: { statusUrl } })).toEqual(said.map((each) => expect.stringContaining(each)));
  });

  it.each([['root'], ['root', 'database-root']])(
    'name every type that is deployed: roots alone would delete the functions of all others',
    (...types) => {
      expect(refused({ settings: { types } })).toEqual([
        'types: roots alone would leave out the functions of every other type, and delete those that are deployed: ' +
          'this list replaces the default, so name every type that the deployment has, e.g. ' +
          '["database","llm-key","vector-database-key","cloud-key","signing-key","agent-token","certificate-authority","oauth-client","root","database-root"]',
      ]);
      expect(refused({ settings: { types: ['llm-key', 'root'] } })).toEqual([]);
    },
  );

  it('that add roots stand in the documents as they can be used, with every type', () => {
    const text = readFileSync(join(root, 'docs/roots.md'), 'utf8');
    const settings = JSON.parse(/```json\n([^]*?)```/.exec(text)?.[1] ?? '') as object;
    expect(readSettings({ settings }).types).toEqual([...readSettings({}).types, ...ROOT_TYPES]);
  });

  it.each(['minWindowSeconds', 'rotateTimeoutSeconds', 'reconcileEverySeconds', 'stuckAfterSeconds'])(
    'an AWS stage refuses timing.%s, by name',
    (name) => {
      const settings = { timing: { [name]: 60 } };
      expect(() => readSettings({ stage: 'prod', settings })).toThrow(
        `timing.${name}: only stage "local" may set it, this is stage "prod"`,
      );
      expect(readSettings({ stage: 'local', settings }).timing).toHaveProperty(name, 60);
    },
  );

  it('stage local is refused where the credentials are those of an AWS account', () => {
    expect(refused({ stage: 'local', account: '444455556666' })).toEqual([
      expect.stringMatching(/^stage: "local" is reserved.*444455556666; choose another name$/),
    ]);
    expect(LOCAL_ACCOUNT).toBe(localAccountId);
    expect(refused({ stage: 'local', account: localAccountId })).toEqual([]);
  });

  it('hold compliance mode back until it is asked for twice', () => {
    const settings = { archiveLock: { mode: 'compliance', days: 400 } };
    expect(() => readSettings({ settings })).toThrow('allowComplianceLock=true');
    for (const allowComplianceLock of [false, 'false', 'yes', '']) {
      expect(() => readSettings({ settings, allowComplianceLock })).toThrow('archiveLock.mode:');
    }
    expect(readSettings({ settings, allowComplianceLock: 'true' }).archiveLock.mode).toBe('compliance');
  });

  it.each<[SettingsInput, string]>([
    [{ stage: 'Prod!' }, 'stage: use 1 to 16'],
    [{ stage: 'prod-' }, 'stage: use 1 to 16'],
    [{ settings: { tenants: 'x' } }, 'tenants: there is no such setting'],
    [{ settings: { archiveLock: { years: 7 } } }, 'archiveLock.years: there is no such setting'],
    [{ settings: { archiveLock: { days: 0 } } }, 'archiveLock.days:'],
    [{ settings: { signals: { azure: {} } } }, 'signals.azure: entra (better), or secretArn'],
    [
      { settings: { signals: { azure: { entra: { tenant: 'common', audience: 'a' } } } } },
      'signals.azure.entra.tenant: the id of a tenant',
    ],
    [
      { settings: { archiveReaders: ['arn:aws:iam::444455556666:role/x'] } },
      'archiveReaders[0]: the id of an account',
    ],
    [
      { settings: { archiveReaders: ['444455556666', '444455556666'] } },
      'archiveReaders: name each account once',
    ],
    [{ settings: { logRetentionDays: 31 } }, 'logRetentionDays: use one of 1, 3, 5'],
    [{ settings: { alarms: { emails: ['nobody'] } } }, 'alarms.emails[0]: an e-mail address'],
    [{ settings: { alarms: { webhooks: ['http://example.com'] } } }, 'alarms.webhooks[0]: an address that'],
    [
      { settings: { alarms: { topicArn: 'arn:aws:sns:eu-central-1:111122223333:a.fifo' } } },
      'alarms.topicArn: the ARN of a standard SNS topic',
    ],
    [
      {
        settings: {
          alarms: { topicArn: 'arn:aws:sns:eu-central-1:111122223333:a', emails: ['a@example.com'] },
        },
      },
      'alarms.topicArn: subscriptions of your own topic are yours',
    ],
    [
      { settings: { alarms: { emails: ['a@example.com', 'a@example.com'] } } },
      'alarms.emails[1]: the same as alarms.emails[0]; remove it',
    ],
    [{ stage: 'local', settings: { timing: { reconcileEverySeconds: 90 } } }, 'use whole minutes'],
    [{ settings: '/nowhere/settings.json' }, "settings: can't read /nowhere/settings.json"],
    [{ settings: 7 }, 'settings: a JSON object'],
    [{ settings: { tenant: 5 } }, 'tenant: write a text here, not a number'],
    [
      { settings: { network: { vpcId: 'vpc-0a1b2c3d4e5f60718' } } },
      'network.subnets: is missing; write a list',
    ],
    [{ settings: { archiveLock: { days: 99_999 } } }, 'archiveLock.days: write a number of at most 36500'],
  ])('%j is refused with its field and what to do', (input, message) => {
    expect(() => readSettings(input)).toThrow(SettingsError);
    expect(() => readSettings(input)).toThrow(message);
  });

  it('are refused all at once, under a stable code', () => {
    const input = { settings: { archiveLock: { days: 0 }, secretPrefix: 'agents', stage: 'X' } };
    expect(refused(input)).toHaveLength(3);
    expect(() => readSettings(input)).toThrow(/^ERR_SETTINGS: .*docs\/settings\.md/);
  });
});

describe('the network of the settings', () => {
  it('is taken as it is where nothing is wrong', () => {
    expect(refused(network({}))).toEqual([]);
    expect(refused(network({}, CREATE))).toEqual([]);
    expect(readSettings(network({})).network?.endpoints).toBe('existing');
  });

  it.each<[string, SettingsInput, string]>([
    [
      'an id that is none',
      network({ subnets: [SUBNETS[0], { ...SUBNETS[1], id: 'subnet-xyz' }] }),
      'network.subnets[1].id: "subnet-xyz" is no such id; a subnet has an id such as subnet-0a1b2c3d4e5f60718',
    ],
    [
      'a security group in the place of a subnet',
      network({ subnets: [{ ...SUBNETS[0], id: 'sg-0a1b2c3d' }, SUBNETS[1]] }),
      'network.subnets[0].id: "sg-0a1b2c3d" is a security group, which belongs in network.securityGroupIds; ' +
        'a subnet has an id such as subnet-0a1b2c3d4e5f60718',
    ],
    [
      'a subnet in the place of a security group',
      network({ securityGroupIds: ['subnet-0a1b2c3d'] }),
      'network.securityGroupIds[0]: "subnet-0a1b2c3d" is a subnet, which belongs in network.subnets; ' +
        'a security group has an id such as sg-0a1b2c3d4e5f60718',
    ],
    [
      'one subnet',
      network({ subnets: SUBNETS.slice(0, 1) }),
      'network.subnets: name at least two subnets, in two availability zones: a zone that fails must not stop a revocation',
    ],
    [
      'one availability zone',
      network({ subnets: SUBNETS.map((each) => ({ ...each, zone: 'eu-central-1a' })) }),
      'network.subnets: all are in one availability zone; add a subnet in another, so that one may fail',
    ],
    [
      'zones of two regions',
      network({ subnets: [SUBNETS[0], { ...SUBNETS[1], zone: 'eu-west-1a' }] }),
      'network.subnets: the availability zones are of several regions; a VPC is in one',
    ],
    [
      'a zone by its id',
      network({ subnets: [SUBNETS[0], { ...SUBNETS[1], zone: 'euc1-az2' }] }),
      'network.subnets[1].zone: name the availability zone as the EC2 console does, such as eu-central-1a (not its id)',
    ],
    [
      'a subnet twice',
      network({ subnets: [...SUBNETS, { ...SUBNETS[0], zone: 'eu-central-1c' }] }),
      'network.subnets[2].id: the same as network.subnets[0]; remove it',
    ],
    [
      'a security group twice',
      network({ securityGroupIds: ['sg-0a1b2c3d', 'sg-0a1b2c3d'] }),
      'network.securityGroupIds[1]: the same as network.securityGroupIds[0]; remove it',
    ],
    [
      'endpoints to create without their route tables',
      network({ endpoints: 'create' }),
      'network.dedicatedRouteTableIds: endpoints "create" wants the route tables of the subnets, which no other ' +
        'workload may use; name them, or use endpoints "existing"',
    ],
    [
      'route tables without endpoints to create',
      network({ dedicatedRouteTableIds: ['rtb-0a1b2c3d'] }),
      'network.dedicatedRouteTableIds: nothing uses it without endpoints "create"; remove it',
    ],
    [
      'two subnets of a zone where endpoints are created',
      network({ subnets: [...SUBNETS, { id: 'subnet-2a1b2c3d', zone: 'eu-central-1a' }] }, CREATE),
      'network.subnets[2].zone: an endpoint takes one subnet of each zone; name one, or use endpoints "existing"',
    ],
    [
      'the setting of an earlier form',
      network({ subnetIds: ['subnet-0a1b2c3d'] }),
      'network.subnetIds: there is no such setting; correct its spelling or remove it',
    ],
  ])('%s is refused', (_what, input, problem) => {
    expect(refused(input)).toEqual([problem]);
  });

  it('and whatever else names a region are refused where the deployment goes to another', () => {
    const settings = {
      network: NETWORK,
      alarms: { topicArn: 'arn:aws:sns:eu-west-1:111122223333:pager' },
      adminSecretKeyArns: ['arn:aws:kms:eu-west-1:111122223333:key/a'],
    };
    const fields = (region: string | undefined): string[] =>
      refused({ settings, region }).map((problem) => problem.split(': ')[0] ?? '');
    expect(fields('eu-west-1')).toEqual(['network.subnets[0].zone', 'network.subnets[1].zone']);
    expect(fields('eu-central-1')).toEqual(['alarms.topicArn', 'adminSecretKeyArns[0]']);
    expect(fields(undefined)).toEqual([]);
  });
});

describe('what is published of settings', () => {
  const published = readJson<object>(join(root, 'docs', 'settings.schema.json'));
  const examples = readdirSync(join(root, 'examples')).filter((name) => name.startsWith('settings-'));

  it('docs/settings.schema.json is what the code checks', () => {
    expect(published, 'node infra/schema.ts > docs/settings.schema.json && npm run format').toEqual(
      settingsJsonSchema(),
    );
  });

  it.each(examples)('examples/%s is valid, by the code and by the schema', (name) => {
    const path = join(root, 'examples', name);
    expect(refused({ settings: path, allowComplianceLock: true })).toEqual([]);
    const valid = new Ajv2020({ validateFormats: false }).compile(published);
    expect([valid(readJson(path)), valid.errors]).toEqual([true, null]);
    expect(valid({ network: { subnets: [] } })).toBe(false);
  });

  it('one worked example locks the archive in compliance mode, and is refused without the flag', () => {
    expect(examples).toEqual(['settings-regulated.json', 'settings-small-team.json']);
    expect(refused({ settings: join(root, 'examples', 'settings-regulated.json') })).toEqual([
      expect.stringMatching(/^archiveLock\.mode: /),
    ]);
  });

  it('docs/settings.md names every setting', () => {
    const text = readFileSync(join(root, 'docs', 'settings.md'), 'utf8');
    expect(leaves(published).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

/** Paths of the settings of a JSON Schema, without the place of an element in its list. */
function leaves(schema: object, path = ''): string[] {
  // A JSON Schema of settings: objects, lists and values.
  const { properties, items } = schema as {
    properties?: Record<string, object>;
    items?: { properties?: Record<string, object> };
  };
  const below = properties ?? items?.properties;
  if (below === undefined) return [path];
  return Object.entries(below)
    .filter(([name]) => name !== '$schema')
    .flatMap(([name, each]) => leaves(each, path === '' ? name : `${path}.${name}`));
}
