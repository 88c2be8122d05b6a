import * as z from 'zod';
import { HEARTBEAT_SECONDS } from '../domain/agents.ts';
import { instanceJwk } from '../domain/instance-key.ts';
import type { Notice } from '../domain/notices.ts';
import { agentName, pactDocument } from '../domain/pact.ts';
import {
  acknowledgementPayload,
  closePayload,
  heartbeatPayload,
  openingPayload,
  usesPayload,
} from '../domain/signed.ts';
import { instanceName } from '../domain/spiffe.ts';
import { instant } from './messages/common.ts';
import { pactView } from './messages/pacts.ts';

/**
 * Requests and answers of the agent API (docs/agents.md). Requests are strict, answers may grow: readers ignore what they
 * don't know, and treat words such as states as open sets.
 */

/** Largest body that the agent API reads, in bytes. */
export const MAX_AGENT_BODY_BYTES = 32 * 1024;

/** What is kept as it came, or has a few fields only, is bounded more tightly than what is read and forgotten. */
const KEPT_JWS = 4096;

/** A field for what an instance signs. Its form is published with it: header and payload, as RFC 7519's are in JSON Schema. */
function jwsOf(payload: z.ZodType, max = MAX_AGENT_BODY_BYTES): z.ZodString {
  const { $schema: _dialect, ...form } = z.toJSONSchema(payload, { io: 'input' });
  return z
    .string()
    .max(max)
    .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/, 'send a compact JWS')
    .meta({
      description: "Compact JWS (RFC 7515) under the instance's key: EdDSA, ES256 or HS256",
      contentMediaType: 'application/jose',
      contentSchema: { type: 'array', prefixItems: [{ type: 'object', required: ['alg'] }, form] },
    });
}

/** `PUT /agents/{agent}/pact` */
export const pactRequest = pactDocument;

/** `POST /agents/{agent}/sessions` */
export const sessionRequest = z.strictObject({
  key: instanceJwk.describe(
    'Public key of the instance (Ed25519 or P-256), or an oct key of 32 random bytes',
  ),
  opening: jwsOf(openingPayload, KEPT_JWS),
});

/** `POST …/heartbeat` */
export const heartbeatRequest = z.strictObject({ heartbeat: jwsOf(heartbeatPayload) });

/** `POST …/challenges` */
export const challengeRequest = z.strictObject({
  rotation: z.string().min(1).max(64).describe('The rotation of the notice'),
});

/** `POST …/acknowledgements` */
export const acknowledgementRequest = z.strictObject({
  acknowledgement: jwsOf(acknowledgementPayload, KEPT_JWS),
});

/** `POST …/uses` */
export const usesRequest = z.strictObject({ uses: jwsOf(usesPayload) });

/** `POST …/close` */
export const closeRequest = z.strictObject({ close: jwsOf(closePayload, KEPT_JWS) });

/** `POST /certificates` */
export const certificateRequest = z.strictObject({
  credential: z.string().min(1).max(63).describe('Name of the certificate authority, as declared'),
  agent: agentName.optional().describe('Which agent asks, where several run as this caller'),
  instance: instanceName
    .optional()
    .describe(
      "Name of the instance, the last part of the certificate's SPIFFE id; left out: the agent's own id",
    ),
  csr: z
    .string()
    .min(1)
    .max(MAX_AGENT_BODY_BYTES)
    .describe('PKCS#10 request in PEM. Its key counts, and nothing else that it asks for'),
});

const notice = z.object({
  credential: z.string(),
  secret: z.string().describe('Name of the secret that has the value'),
  state: z
    .string()
    .describe('steady, announced, deferred, rotating, window, rolling-back or halted; more may come'),
  rotation: z.string().optional(),
  versionId: z.string().optional().describe('The version to hold; absent while halted'),
  fingerprint: z.string().optional(),
  formerVersionId: z.string().optional().describe('Works as well, while a window is open'),
  tombstoned: z.array(z.string()).describe('Versions never to use again'),
  rotatesAt: instant.optional(),
  checkpointBy: instant.optional(),
  moveFrom: instant.optional().describe('The instance moves no sooner: it is outside the canary cohort'),
  acknowledge: z.boolean().describe('An acknowledgement is missing'),
  proof: z
    .string()
    .optional()
    .describe('What the acknowledgement proves it by: signature or seen; more may come. Absent: the HMAC'),
  urgent: z.boolean().describe('Now, whatever the instance does'),
  suspended: z
    .boolean()
    .optional()
    .describe(
      'The upstream refuses the version to hold until people have decided on a report of a leak: wait. Absent: it does not',
    ),
});

export const noticesAnswer = z.object({ notices: z.array(notice) });
export type NoticesAnswer = z.infer<typeof noticesAnswer>;

export const sessionAnswer = z.object({
  session: z.string().describe('Id of the session'),
  notices: z.array(notice),
  heartbeatSeconds: z.number().describe(`Time between two heartbeats, e.g. ${HEARTBEAT_SECONDS}`),
});
export type SessionAnswer = z.infer<typeof sessionAnswer>;

export const challengeAnswer = z.object({ challenge: z.string(), expiresAt: instant });
export type ChallengeAnswer = z.infer<typeof challengeAnswer>;

export const acknowledgementAnswer = z.object({
  rotation: z.string(),
  versionId: z.string(),
  acknowledgedAt: instant,
});
export type AcknowledgementAnswer = z.infer<typeof acknowledgementAnswer>;

export const usesAnswer = z.object({
  reported: z.number().describe('How many of them are of credentials in the pact'),
});
export type UsesAnswer = z.infer<typeof usesAnswer>;

export const closeAnswer = z.object({ closed: z.literal(true) });
export type CloseAnswer = z.infer<typeof closeAnswer>;

export const certificateAnswer = z.object({
  certificate: z
    .string()
    .describe('The certificate in PEM, and those between it and the bundle, if there are any'),
  bundle: z
    .string()
    .describe('What to trust in PEM; GET /bundles/{set} of the directory has it from then on'),
  id: z.string().describe('The SPIFFE id'),
  serial: z.string().describe('Serial number in hexadecimal'),
  authority: z.string().describe('Id of the certificate authority that has signed it'),
  notBefore: instant,
  notAfter: instant,
  renewAt: instant.describe('When to ask for the next one, with another key: half of its life'),
});
export type CertificateAnswer = z.infer<typeof certificateAnswer>;

export const pactAnswer = z.object({
  outcome: z.string().describe('registered or unchanged'),
  pact: pactView,
});
export type PactAnswer = z.infer<typeof pactAnswer>;

/** A notice as it is sent. */
export function viewOfNotice({ tombstoned, ...rest }: Notice): z.infer<typeof notice> {
  return { ...rest, tombstoned: [...tombstoned] };
}
