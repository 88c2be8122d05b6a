import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { z } from 'zod';
import { CREDENTIAL_TYPES, ROOT_TYPES } from '../shared/names.ts';
import { signalSettings } from './signal-settings.ts';

const seconds = (min: number, max: number): z.ZodInt => z.int().min(min).max(max);

/** Ids of EC2 that settings name: their prefix, what they are, the setting that takes them. */
const IDS = {
  vpc: { what: 'a VPC', field: 'network.vpcId' },
  subnet: { what: 'a subnet', field: 'network.subnets' },
  sg: { what: 'a security group', field: 'network.securityGroupIds' },
  rtb: { what: 'a route table', field: 'network.dedicatedRouteTableIds' },
} as const;

/** An id of EC2; one of another kind is told apart, since that is how ids are mixed up. */
function id(prefix: keyof typeof IDS): z.ZodString {
  return z.string().regex(new RegExp(`^${prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`), {
    error: ({ input }) => {
      const given = String(input);
      const wanted = `${IDS[prefix].what} has an id such as ${prefix}-0a1b2c3d4e5f60718`;
      const other = Object.entries(IDS).find(
        ([each]) => each !== prefix && given.startsWith(`${each}-`),
      )?.[1];
      if (other === undefined) return `"${given}" is no such id; ${wanted}`;
      return `"${given}" is ${other.what}, which belongs in ${other.field}; ${wanted}`;
    },
  });
}

const zone = z
  .string()
  .regex(
    /^[a-z]{2}(-[a-z]+)+-\d[a-z]$/,
    'name the availability zone as the EC2 console does, such as eu-central-1a (not its id)',
  );

const network = z.strictObject({
  vpcId: id('vpc').describe('The VPC of the databases'),
  subnets: z
    .array(
      z.strictObject({
        id: id('subnet').describe('Id of the subnet'),
        zone: zone.describe('Its availability zone, such as eu-central-1a'),
      }),
    )
    .min(
      2,
      'name at least two subnets, in two availability zones: a zone that fails must not stop a revocation',
    )
    .max(16)
    .describe('Subnets of the functions that log in to databases, in at least two availability zones'),
  securityGroupIds: z
    .array(id('sg'))
    .min(1)
    .max(5, 'a Lambda function has at most five security groups')
    .describe('Security groups of these functions: let them out to the databases and to HTTPS'),
  endpoints: z
    .enum(['existing', 'create'])
    .default('existing')
    .describe(
      'How they reach AWS: through what the VPC has (endpoints, NAT), or endpoints that Rekey creates',
    ),
  dedicatedRouteTableIds: z
    .array(id('rtb'))
    .default([])
    .describe(
      'With endpoints "create": the route tables of these subnets, which no other workload uses; they get the gateway endpoints',
    ),
});

/** The settings file of a stage; cross-checks of several fields are in `config.ts`. */
export const settingsSchema = z.strictObject({
  $schema: z.string().optional().describe('Address of this schema, for editors'),
  stage: z
    .string()
    .regex(
      /^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$/,
      'use 1 to 16 of a-z, 0-9 and "-", a letter first and no "-" last',
    )
    .default('dev')
    .describe('Name of the deployment, in the names of its stacks; "local" is the local stack'),
  tenant: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'use 1 to 32 of a-z, 0-9 and "-"')
    .default('default')
    .describe('Part of every key and record'),
  alarms: z
    .strictObject({
      emails: z
        .array(z.email('an e-mail address'))
        .max(20)
        .default([])
        .describe('Each must confirm the subscription, which SNS asks for by mail'),
      webhooks: z
        .array(z.url({ protocol: /^https$/, error: 'an address that begins with https://' }))
        .max(20)
        .default([])
        .describe('HTTPS addresses that speak the protocol of SNS, confirmation included'),
      topicArn: z
        .string()
        .regex(
          /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/,
          'the ARN of a standard SNS topic (not a FIFO topic), such as arn:aws:sns:eu-central-1:111122223333:pager',
        )
        .optional()
        .describe("A topic of yours, in the same region, instead of Rekey's own"),
    })
    .prefault({})
    .describe('Who hears alarms'),
  runbook: z
    .string()
    .min(1)
    .default('docs/runbook.md')
    .describe('Where docs/runbook.md can be read; alarms link to it'),
  logRetentionDays: z
    .enum(RetentionDays)
    .default(RetentionDays.THIRTEEN_MONTHS)
    .describe('Days that logs of functions and machines are kept; one of the spans of CloudWatch Logs'),
  archiveLock: z
    .strictObject({
      mode: z
        .enum(['governance', 'compliance'])
        .default('governance')
        .describe('"compliance" also wants -c allowComplianceLock=true'),
      days: z.int().min(1).max(36_500).default(1).describe('Days for which a record can not be deleted'),
    })
    .prefault({})
    .describe('Object Lock of the audit archive'),
  archiveReaders: z
    .array(z.string().regex(/^\d{12}$/, 'the id of an account, 12 digits in quotes'))
    .max(20)
    .refine((accounts) => new Set(accounts).size === accounts.length, 'name each account once')
    .default([])
    .describe('Other accounts that may read the audit archive and its versions, and nothing else'),
  types: z
    .array(z.enum(CREDENTIAL_TYPES))
    .min(1)
    .refine((types) => new Set(types).size === types.length, 'name each type once')
    .refine((types) => types.some((type) => !ROOT_TYPES.includes(type)), {
      error: `roots alone would leave out the functions of every other type, and delete those that are deployed: this list replaces the default, so name every type that the deployment has, e.g. ${JSON.stringify(CREDENTIAL_TYPES)}`,
    })
    .default(CREDENTIAL_TYPES.filter((type) => !ROOT_TYPES.includes(type) && type !== 'oauth-client'))
    .describe('Credential types that the deployment has functions for; each type has roles of its own'),
  families: z
    .boolean()
    .default(false)
    .describe('Whether OAuth token families are deployed, whose coordinator runs every minute'),
  signals: signalSettings,
  privateUpstreams: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?$/, 'the name of a host or an address'),
    )
    .max(50)
    .default([])
    .describe('Hosts of upstreams of yours that may have private addresses; every other must be public'),
  statusUrl: z
    .url({
      protocol: /^https?$/,
      hostname: z.regexes.domain,
      error: 'an address that begins with http:// or https://, such as http://status.example.com',
    })
    .max(200)
    .refine((text) => !/[?#@\s]/.test(text), 'an address without query, fragment, name or password')
    .optional()
    .describe(
      'Where certificates of agents say that OCSP answers and revocation lists are: something of yours before the directory',
    ),
  network: network
    .optional()
    .describe('Network of the functions that log in to databases; without it they run outside any VPC'),
  secretPrefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9/_+=.@-]{0,63}\/$/, 'a name that ends in "/", such as agents/')
    .default('agents/')
    .describe('Beginning of the name of every secret that Rekey makes; its roles reach no other'),
  adoptPrefixes: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9/_+=.@-]{2,255}$/, 'the beginning of a name, 3 characters or more'),
    )
    .max(10)
    .default([])
    .describe('Beginnings of names of existing secrets that may be adopted beside those below secretPrefix'),
  adoptKeyArns: z
    .array(z.string().regex(/^arn:[^:]+:kms:[^:]+:\d{12}:key\/.+$/, 'the ARN of a key'))
    .default([])
    .describe('Customer keys of the adopted secrets'),
  adminSecretKeyArns: z
    .array(z.string().regex(/^arn:[^:]+:kms:[^:]+:\d{12}:key\/.+$/, 'the ARN of a key'))
    .default([])
    .describe('Customer keys of the administrative secrets'),
  readers: z
    .enum(['observe', 'off'])
    .default('observe')
    .describe(
      'Whether reads of secrets that CloudTrail shows become proposed holders; "off" spares their cost',
    ),
  uses: z
    .strictObject({
      cloudTrail: z
        .enum(['observe', 'off'])
        .default('observe')
        .describe(
          'Whether calls with access keys that CloudTrail shows are kept as uses; "off" spares their cost',
        ),
      reads: z
        .enum(['observe', 'off'])
        .default('observe')
        .describe(
          'Whether each read of a secret is kept as a use, beside who reads it; "off" spares its cost',
        ),
      databaseLogs: z
        .array(
          z.strictObject({
            logGroupArn: z
              .string()
              .regex(
                /^arn:[^:]+:logs:[^:]+:\d{12}:log-group:[A-Za-z0-9_/.#-]{1,512}$/,
                'the ARN of a log group without ":*" at its end, such as arn:aws:logs:eu-central-1:111122223333:log-group:/aws/rds/instance/orders/postgresql',
              )
              .describe("Log group with a PostgreSQL server's log, in the deployment's account and region"),
            hosts: z
              .array(
                z
                  .string()
                  .regex(/^[A-Za-z0-9._:-]{1,261}$/, 'the host of a target, with ":port" where needed'),
              )
              .max(10)
              .default([])
              .describe('Hosts of targets that are this server, where they are not names of RDS for it'),
          }),
        )
        .max(20)
        .default([])
        .describe('Logs of databases whose logins become uses in reports of incidents'),
      providers: z
        .enum(['collect', 'off'])
        .default('collect')
        .describe(
          'Whether upstreams that count uses by the key are asked for that, by the hour; "off" spares the calls',
        ),
    })
    .prefault({})
    .describe('What is kept of uses of credentials as upstreams tell of them'),
  reservedConcurrency: z
    .strictObject({
      revoke: z.int().min(1).max(1000).optional(),
      rotate: z.int().min(1).max(1000).optional(),
    })
    .prefault({})
    .describe("Lambda capacity kept free for the function named; counts against the account's quota"),
  timing: z
    .strictObject({
      minWindowSeconds: seconds(1, 900).optional(),
      rotateTimeoutSeconds: seconds(5, 86_400).optional(),
      reconcileEverySeconds: seconds(60, 3600)
        .refine((value) => value % 60 === 0, 'use whole minutes')
        .optional(),
      planEverySeconds: seconds(60, 3600)
        .refine((value) => value % 60 === 0, 'use whole minutes')
        .optional(),
      stuckAfterSeconds: seconds(1, 86_400).optional(),
    })
    .prefault({})
    .describe('Shorter windows and waits; only stage "local" may set them'),
});

/** Settings whose form is checked, with every default filled in. */
export type ParsedSettings = z.infer<typeof settingsSchema>;

/** The network of database functions. */
export type NetworkSettings = NonNullable<ParsedSettings['network']>;

/** JSON Schema of the settings file, as published in `docs/settings.schema.json`. */
export function settingsJsonSchema(): object {
  return {
    ...z.toJSONSchema(settingsSchema, { io: 'input' }),
    title: 'Settings of a Rekey deployment',
    description: 'What `cdk deploy -c settings=FILE` takes; docs/settings.md explains it.',
  };
}
