import { z } from 'zod';

const arnOfSecret = z
  .string()
  .regex(
    /^arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$/,
    'the whole ARN of a secret, with its six last characters',
  );
const https = z
  .url({ protocol: /^https?$/, error: 'an address that begins with https://' })
  .max(300)
  // The local stack's stand-ins; a function reaches them only where the setting `privateUpstreams` names the address.
  .refine((url) => url.startsWith('https:') || new URL(url).hostname === '127.0.0.1', {
    error: 'an address that begins with https://',
  });
const secretArn = arnOfSecret.describe(
  'The secret that the source and Rekey share: one a line, the newest first',
);
const credentials = z
  .record(
    z.string().min(1).max(300),
    z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'the name of a credential'),
  )
  .default({})
  .describe('Names of credentials by what the source calls them');

/** The setting `signals`: who may tell Rekey of leaks and due rotations, and how much a signal does without a person. */
export const signalSettings = z
  .strictObject({
    github: z
      .strictObject({
        secretArn,
        tokenSecretArn: arnOfSecret.describe('A token of GitHub that may read secret scanning alerts'),
        apiUrl: https.default('https://api.github.com').describe('Of GitHub Enterprise Server: its API'),
      })
      .optional()
      .describe('Webhooks secret_scanning_alert of repositories and organisations'),
    'github-partner': z
      .strictObject({ keysUrl: https.default('https://api.github.com/meta/public_keys/secret_scanning') })
      .optional()
      .describe("GitHub's feed for partners"),
    gitguardian: z.strictObject({ secretArn }).optional().describe('Custom webhook of GitGuardian'),
    siem: z.strictObject({ secretArn }).optional().describe('Whatever can sign with an HMAC'),
    risc: z
      .strictObject({
        issuer: z.string().min(1).max(300),
        audience: z.string().min(1).max(300),
        jwksUrl: https,
        credentials,
      })
      .optional()
      .describe('A transmitter of security event tokens (RISC credential-compromise)'),
    gcp: z
      .strictObject({
        audience: z.string().min(1).max(300),
        serviceAccount: z.email('the e-mail address of a service account'),
        credentials,
      })
      .optional()
      .describe('Pub/Sub push of Google Secret Manager (SECRET_ROTATE)'),
    azure: z
      .strictObject({
        secretArn: secretArn.optional(),
        entra: z
          .strictObject({
            tenant: z
              .string()
              .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'the id of a tenant, in lower case')
              .describe('The tenant of the application that the webhook is'),
            audience: z
              .string()
              .min(1)
              .max(300)
              .describe('What its tokens are for: its application id URI, or its client id'),
          })
          .optional()
          .describe('Event Grid proves itself by a token of Microsoft Entra'),
        credentials,
      })
      .refine((azure) => azure.secretArn !== undefined || azure.entra !== undefined, {
        error: 'entra (better), or secretArn: how Event Grid proves itself',
      })
      .optional()
      .describe('Event Grid of Azure Key Vault (SecretNearExpiry)'),
    unusual: z
      .enum(['off', 'tell', 'rotate'])
      .default('tell')
      .describe(
        "What follows from a use that Rekey's own rules find unusual: a person is told, or the credential is rotated as well",
      ),
    keyArns: z
      .array(z.string().regex(/^arn:[^:]+:kms:[^:]+:\d{12}:key\/.+$/, 'the ARN of a key'))
      .max(10)
      .default([])
      .describe('Customer keys of these secrets'),
    maxCredentials: z
      .int()
      .min(0)
      .max(200)
      .default(3)
      .describe('Credentials that the signals of one source revoke in 60 minutes without a person; 0: none'),
    maxAgents: z
      .int()
      .min(0)
      .default(50)
      .describe('Agents that the signals of one source halt in 60 minutes without a person'),
    perHour: z
      .int()
      .min(1)
      .max(10_000)
      .default(60)
      .describe('Signals that are taken of one source in 60 minutes'),
    suspendHeld: z
      .int()
      .min(0)
      .max(10_000)
      .default(500)
      .describe(
        'Agents that are stopped for one source in an hour because what it has proven is held, and suspended meanwhile; 0: nothing is',
      ),
    breakGlassMinutes: z
      .int()
      .min(1)
      .max(1440)
      .default(30)
      .describe('Until one Responder may decide alone on a signal that is held'),
  })
  .prefault({})
  .describe('Who may tell Rekey of leaks and of rotations that are due, and what that does without a person');
