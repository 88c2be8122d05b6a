import * as z from 'zod';
import { CLIENT_AUTHENTICATIONS, GRANTS } from './families.ts';

/** Version of the declaration file's format. */
export const DECLARATION_VERSION = 1;

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;

/** A duration such as `90s`, `15m`, `4h` or `30d`, in seconds. */
export const duration = z
  .string({
    error: ({ input }) => `${input === undefined ? 'is missing; ' : ''}write a duration, e.g. 30m`,
  })
  .regex(/^[1-9]\d{0,6}[smhd]$/, 'write a duration as a whole number with s, m, h or d, e.g. 30m')
  .describe('A duration: a whole number with s, m, h or d, e.g. 30m');

/** As URLs have it: addresses are in their shortest form there. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

const zeroOrDuration = z.union([z.literal('0s'), duration]);

const principal = z
  .string()
  .regex(/^arn:[a-z-]+:iam::\d{12}:(role|user)\/.{1,512}$/, 'write the ARN of an IAM role or user');

const holderFields = {
  name: z.string().min(1).max(128).describe('Name of the agent or fleet, as it shall stand in the audit'),
  agents: z.int().min(1).max(1_000_000).optional().describe('How many instances share the credential'),
  principal: principal
    .optional()
    .describe('Role or user that it reads the secret as; reads by others are shown as proposed holders'),
};
/** It stands in addresses of the agent API and in rules of the event bus. */
const agentName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'use letters, digits, dots, hyphens and underscores');
const ecsName = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/, 'use the name, not the ARN');

const holder = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('polling').describe('Reads the secret again and again; moves within its TTL'),
      ...holderFields,
      ttl: duration.describe('Longest time that it keeps a value after it has changed'),
    }),
    z.strictObject({
      kind: z.literal('ecs-restart').describe('An ECS service that gets the value when its tasks start'),
      ...holderFields,
      cluster: ecsName.describe('Name of the cluster, in the account and region of the deployment'),
      service: ecsName.describe('Name of the service, tagged rekey:stage; Rekey redeploys it in the window'),
    }),
    z.strictObject({
      kind: z.literal('lambda').describe('A Lambda function'),
      ...holderFields,
      function: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}(:(?!\d+$)[A-Za-z0-9_-]{1,128})?$/, 'use name or name:alias')
        .describe('Name as its callers use it, with the alias where they use one, e.g. orders:live'),
      ttl: duration
        .optional()
        .describe('It checks the age of its value at each invocation; without it, it reads once per sandbox'),
    }),
    z.strictObject({
      kind: z.literal('manual').describe('Moves by hand; somebody confirms it with `rekey confirm`'),
      ...holderFields,
    }),
    z.strictObject({
      kind: z.literal('client').describe('An agent that proves by itself that it has moved (docs/agents.md)'),
      ...holderFields,
      name: agentName.describe('Name of the agent, as it calls itself at the agent API'),
      principal: principal.describe('Role or user that it runs as: nobody else may speak for it'),
      fleet: agentName.optional().describe('Agents that are told together; default: its own name'),
      verifies: z
        .literal(true)
        .optional()
        .describe('It has no secret: it checks what others prove themselves with (docs/identities.md)'),
    }),
  ],
  { error: 'use one of the kinds polling, ecs-restart, lambda, manual, client' },
);

const knownBy = z
  .array(
    z
      .string()
      .regex(
        /^[\w+=,.@-]{1,128}$/,
        'write a name as sessions of people have it, e.g. ada or ada@example.com',
      ),
  )
  .max(200)
  .refine((names) => new Set(names.map((name) => name.toLowerCase())).size === names.length, {
    message: 'a name stands there twice',
  })
  .describe('People who have seen the present value; it counts until that value is replaced');

const policy = z.strictObject({
  interval: duration.optional().describe("Time between rotations; default: the type's maximum"),
  window: duration.optional().describe('How long old and new both work, at least twice the longest TTL'),
  deadline: duration.optional().describe('Latest regular end of the window, counted from its opening'),
  cap: duration.optional().describe('How far an extension may go, counted from the opening'),
  soak: zeroOrDuration.optional().describe('Between the suspension of the old credential and its revocation'),
  announce: zeroOrDuration.optional().describe('Notice given before a planned rotation'),
  atDeadline: z.enum(['extend', 'revoke']).optional().describe('What happens where somebody has not moved'),
  canary: z
    .strictObject({
      percent: z.int().min(1).max(99).describe('Percent of the instances that move first'),
      for: duration.describe('How long the others stay on the old one; at most half of the window'),
    })
    .optional()
    .describe('Agents of kind client: a part moves first; refusals roll the rotation back'),
  evidenceOfUse: z
    .enum(['source', 'holders'])
    .optional()
    .describe(
      'What shows that the old one is no longer used: its upstream (default), or, where that tells nothing, the holders',
    ),
  access: z.enum(['read', 'write']).optional(),
  sensitivity: z.enum(['normal', 'sensitive']).optional(),
  exception: z
    .strictObject({
      reason: z.string().min(1),
      expires: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'write a date as YYYY-MM-DD'),
    })
    .optional()
    .describe("Allows an interval above the type's maximum, until it expires"),
});

/** An entry of a credential. */
export const fields = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use lower-case letters, digits and hyphens, at most 63 characters')
    .refine((name) => !UUID.test(name), 'a name must not look like an id (a UUID)')
    .describe('Name of the credential, unique in the tenant'),
  type: z.string().describe('Credential type, e.g. database'),
  provider: z.string().describe('Upstream, e.g. postgresql'),
  secret: z
    .string()
    .regex(/^[A-Za-z0-9/_+=.@-]{1,512}$/, {
      error: ({ input }) =>
        input?.startsWith('arn:') === true
          ? 'give its name, not its ARN: Rekey rotates the secrets of its own account and region only'
          : 'use the characters that Secrets Manager allows in a name',
    })
    .describe('Name of the secret that agents read; Rekey creates it, unless it is adopted'),
  adopt: z
    .literal(true)
    .optional()
    .describe(
      'The secret and the login in it exist already and are kept; nothing changes until the first rotation',
    ),
  admin: z
    .string()
    .min(1)
    .max(2048)
    .optional()
    .describe(
      "Name or ARN of the secret with the target's administrative login; an adopted secret in mode observe needs none, nor do providers that act under Rekey's own role",
    ),
  target: z.record(z.string(), z.unknown()).describe('Where the credential lives; depends on the provider'),
  mode: z
    .enum(['observe', 'overlap', 'enforce'])
    .optional()
    .describe('Default: enforce; observe where adopt is true'),
  policy: policy.optional(),
  holders: z
    .array(holder)
    .max(1000)
    .superRefine((holders, context) => {
      const seen = new Set<string>();
      holders.forEach(({ name }, index) => {
        if (seen.has(name)) {
          context.addIssue({
            code: 'custom',
            path: [index, 'name'],
            message: `two holders are called "${name}"`,
          });
        }
        seen.add(name);
      });
    })
    .optional()
    .describe('Who uses it; without one it is never retired'),
  knownBy: knownBy.optional(),
});

const terms = {
  owner: z.string().min(1).max(256).describe('Who answers for it, and does by hand what Rekey can not'),
  scope: z.string().min(1).max(1024).describe('The least that it has to be able to do, in words'),
};

/** An administrative credential that Rekey itself uses (C9). */
export const rootFields = z.strictObject({
  name: fields.shape.name,
  provider: z
    .string()
    .describe('openai-admin, pinecone-service-account; or by-hand, where a person replaces it by a date'),
  secret: fields.shape.secret.describe('Name of the administrative secret, which exists'),
  ...terms,
  admin: fields.shape.admin.describe(
    'Name or ARN of another root, which replaces this one; default: it replaces itself, and nothing does after an emergency',
  ),
  target: fields.shape.target.optional(),
  mode: z
    .enum(['observe', 'enforce'])
    .optional()
    .describe('Default: enforce; observe where a person replaces it'),
  policy: policy.optional(),
  holders: fields.shape.holders.describe('Who uses it beside Rekey'),
  knownBy: fields.shape.knownBy,
});

const address = z
  .string()
  .max(2048)
  .refine((text) => URL.canParse(text), 'write an address with https://');

/** Where tokens go. Over http only to this machine, where the setting `privateUpstreams` names it: `connect` looks at that. */
const endpoint = address.refine(
  (text) => !URL.canParse(text) || isProtected(new URL(text)),
  'must begin with https://',
);

function isProtected({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
}

/** A family of OAuth tokens (docs/oauth.md). */
export const familyFields = z.strictObject({
  name: fields.shape.name.describe('Name of the family; unique among credentials and families'),
  owner: terms.owner.describe('Who consents, and answers for what the agents do with it'),
  server: z
    .strictObject({
      issuer: endpoint.optional().describe('Its metadata have the endpoints (RFC 8414)'),
      tokenEndpoint: endpoint.optional(),
      authorizationEndpoint: endpoint.optional(),
      revocationEndpoint: endpoint.optional(),
    })
    .refine(
      ({ issuer, tokenEndpoint }) => issuer !== undefined || tokenEndpoint !== undefined,
      'name its issuer, or its tokenEndpoint where it has no metadata',
    )
    .describe('The authorization server'),
  client: z
    .strictObject({
      id: z.string().min(1).max(512).describe('client_id of the registration that Rekey has there'),
      authentication: z
        .enum(CLIENT_AUTHENTICATIONS)
        .optional()
        .describe('Default: client_secret_basic, none where it has no secret'),
      secret: fields.shape.secret
        .optional()
        .describe(
          'Name of the secret with {"client_secret": …} or {"private_key": JWK}, tagged rekey:admin=token-family',
        ),
    })
    .describe('The client as which Rekey asks'),
  grant: z
    .enum(GRANTS)
    .optional()
    .describe('Default: authorization_code, to which a person consents with `rekey connect`'),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'write one scope, without spaces'))
    .max(200)
    .optional()
    .describe('The least that agents need'),
  resource: address.optional().describe('What the tokens are for (RFC 8707)'),
  audience: z.string().min(1).max(2048).optional().describe('The same as some servers want it'),
  refresh: z
    .strictObject({
      rotation: z
        .boolean()
        .optional()
        .describe(
          'Whether the server takes each refresh token once; default: true, which is safe everywhere',
        ),
      grace: zeroOrDuration
        .optional()
        .describe('How long it takes a spent one once more, e.g. 30s; default: 0s'),
    })
    .optional(),
  holders: fields.shape.holders.describe('Who reads the access token'),
});

/** An entry as the API takes it: of a credential, or of a root in the same form. */
export const entryFields = fields.extend({ root: z.strictObject(terms).optional() });

/** A declaration file. */
export const file = z.strictObject({
  version: z.literal(DECLARATION_VERSION),
  credentials: z
    .array(fields)
    .min(1)
    .max(1000)
    .optional()
    .describe('Credentials of agents; may be left out where there are roots or families'),
  roots: z
    .array(rootFields)
    .max(200)
    .optional()
    .describe('Administrative credentials that Rekey itself uses: docs/roots.md'),
  families: z.array(familyFields).max(500).optional().describe('OAuth token families: docs/oauth.md'),
});

/** What surrounds the entries; each of them is checked by itself, so that one mistake hides no other. */
export const frame = z.strictObject({
  ...file.shape,
  credentials: z.array(z.unknown()).min(1).max(1000).optional(),
  roots: z.array(z.unknown()).max(200).optional(),
  families: z.array(z.unknown()).max(500).optional(),
});
