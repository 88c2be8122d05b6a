import * as z from 'zod';
import { MAX_SESSION_SECONDS, type Decommissioning, type Pact, type PactCredential } from './agents.ts';
import { toInstant } from './clock.ts';
import type { Credential } from './credential.ts';
import { duration } from './declaration-form.ts';
import { durationSeconds, durationText } from './duration.ts';
import { RekeyError, throwAll } from './errors.ts';
import type { ClientHolder } from './holders.ts';
import { declarationErrors } from './mistakes.ts';
import { isPrincipal } from './principal.ts';

/** Version of the pact's format. */
export const PACT_VERSION = 1;

/** Most credentials of one agent, and sub-agents for each: notices and delegation are worked out at every call. */
const MAX_CREDENTIALS = 20;
const MAX_DELEGATES = 20;

/** Name of an agent: it stands in addresses and keys. */
export const agentName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'use letters, digits, dots, hyphens and underscores');

const credential = z.strictObject({
  credential: z.string().min(1).max(63).describe('Name of the credential'),
  refresh: z
    .enum(['in-session', 'between-sessions'])
    .describe("between-sessions: it can't change the value while it works"),
  ttl: duration.describe(
    "Longest time that it keeps a value after it has changed; at most half the credential's window",
  ),
  staleLimit: duration.describe(
    "Longest time that it works on while the vault can't be reached; at least its ttl, at most the cap of the credential's window",
  ),
  uses: z.enum(['reported', 'unreported']).describe('Whether it reports successes and refusals'),
  usesPerHour: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe(
      'Most uses within an hour that are to be expected, of all its instances together: more is told as unusual; reported uses only',
    ),
  delegates: z
    .array(agentName)
    .max(MAX_DELEGATES)
    .optional()
    .describe('Sub-agents that get the credential from it; each is a holder of its own'),
});

const pact = z.strictObject({
  version: z.literal(PACT_VERSION),
  agent: agentName.describe('Name of the agent: that of a holder of kind client'),
  credentials: z.array(credential).min(1).max(MAX_CREDENTIALS),
  checkpoint: z
    .boolean()
    .optional()
    .describe('It writes a checkpoint when told that a rotation comes; default: false'),
  sessionLimit: duration.describe(`Longest session; at most ${durationText(MAX_SESSION_SECONDS)}`),
});

/** A pact as it is written in a file and sent to the API. */
export const pactDocument = pact;

/** What a pact says, whoever registered it and when. */
export type PactTerms = Pick<Pact, 'agent' | 'credentials' | 'checkpoint' | 'sessionLimitSeconds'>;

/** JSON Schema of a pact, as published in `docs/pact.schema.json`. */
export function pactJsonSchema(): object {
  return {
    ...z.toJSONSchema(pact),
    title: 'Pact',
    description: 'What an agent can bear. It registers this itself, or `rekey pacts apply` does.',
  };
}

/**
 * Checks the form of a pact.
 * @throws RekeyError ERR_PACT naming the field; its `also` has every further mistake
 */
export function parsePact(input: unknown): PactTerms {
  const parsed = pact.safeParse(input);
  if (!parsed.success) {
    throwAll(
      declarationErrors(
        parsed.error,
        '',
        'docs/pact.schema.json has every field with its meaning',
        'ERR_PACT',
      ),
    );
  }
  const given = pact.parse(input);
  throwAll(contradictions(given));
  return {
    agent: given.agent,
    credentials: given.credentials.map((each) => ({
      credential: each.credential,
      refresh: each.refresh,
      ttlSeconds: durationSeconds(each.ttl),
      staleLimitSeconds: durationSeconds(each.staleLimit),
      uses: each.uses,
      ...(each.usesPerHour === undefined ? {} : { usesPerHour: each.usesPerHour }),
      delegates: each.delegates ?? [],
    })),
    checkpoint: given.checkpoint ?? false,
    sessionLimitSeconds: durationSeconds(given.sessionLimit),
  };
}

function contradictions({ agent, credentials, sessionLimit }: z.infer<typeof pact>): RekeyError[] {
  const longest = durationText(MAX_SESSION_SECONDS);
  const tooLong =
    durationSeconds(sessionLimit) <= MAX_SESSION_SECONDS
      ? []
      : [
          refusal(
            'sessionLimit',
            `a sessionLimit of ${sessionLimit} is longer than ${longest}`,
            `let a session end within ${longest}, and open another one`,
          ),
        ];
  const found = credentials.flatMap((each, index) => {
    const { credential: name, ttl, staleLimit, uses, usesPerHour, delegates = [] } = each;
    const at = `credentials[${index}]`;
    return [
      ...(credentials.findIndex(({ credential: other }) => other === name) === index
        ? []
        : [refusal(`${at}.credential`, `"${name}" is named twice`, 'name each credential once')]),
      ...(durationSeconds(staleLimit) >= durationSeconds(ttl)
        ? []
        : [
            refusal(
              `${at}.staleLimit`,
              `a staleLimit of ${staleLimit} is shorter than the ttl of ${ttl}`,
              'it works for as long as its ttl anyway: raise the staleLimit, or shorten the ttl',
            ),
          ]),
      ...(uses === 'reported' || usesPerHour === undefined
        ? []
        : [
            refusal(
              `${at}.usesPerHour`,
              'uses that are not reported are counted by nobody',
              'say uses: reported, or leave usesPerHour out',
            ),
          ]),
      ...(delegates.includes(agent)
        ? [refusal(`${at}.delegates`, `"${agent}" hands the credential to itself`, 'leave it out')]
        : []),
      ...(new Set(delegates).size === delegates.length
        ? []
        : [refusal(`${at}.delegates`, 'a sub-agent is named twice', 'name each once')]),
    ];
  });
  return [...tooLong, ...found];
}

/** The holder of kind `client` under this name. */
export function clientOf({ holders }: Pick<Credential, 'holders'>, agent: string): ClientHolder | undefined {
  return holders.find((holder): holder is ClientHolder => holder.kind === 'client' && holder.name === agent);
}

/**
 * Refuses a pact that the declaration doesn't bear. `caller` is the ARN of the agent that registers it itself; absent
 * where an operator does.
 * @throws RekeyError ERR_FORBIDDEN or ERR_PACT; its `also` has every further mistake
 */
export function assertBearable(
  terms: PactTerms,
  declared: ReadonlyMap<string, Credential>,
  caller?: string,
): void {
  const holders = terms.credentials.map(({ credential: name }) => {
    const found = declared.get(name);
    return found && clientOf(found, terms.agent);
  });
  // Before all else: who may not speak for the agent learns nothing of what is wrong.
  if (caller !== undefined && holders.some((holder) => holder && !isPrincipal(caller, holder.principal)))
    throw notTheAgent(terms.agent);
  throwAll(
    terms.credentials.flatMap((each, index) => {
      const at = `credentials[${index}]`;
      const found = declared.get(each.credential);
      // An agent learns of no credential that isn't its own, not even that it exists.
      if (found === undefined || holders[index] === undefined) {
        return [
          refusal(
            `${at}.credential`,
            `there is no credential "${each.credential}" that has the agent "${terms.agent}" as a holder`,
            'name the agent as a holder of kind client in the declaration of the credential, and apply it',
          ),
        ];
      }
      return [...timesOf(each, found, at), ...strangersOf(each, found, at)];
    }),
  );
}

/** The refusal of a caller that runs as another role than the agent's. */
export function notTheAgent(agent: string): RekeyError {
  return new RekeyError('ERR_FORBIDDEN', `the caller is not the principal of the agent "${agent}"`, {
    field: 'agent',
    remedy: 'call as the role that the declaration names as principal of this holder',
  });
}

function timesOf(
  { ttlSeconds, staleLimitSeconds }: PactCredential,
  { name, policy: { windowSeconds, capSeconds } }: Credential,
  at: string,
): RekeyError[] {
  return [
    ...(2 * ttlSeconds <= windowSeconds
      ? []
      : [
          refusal(
            `${at}.ttl`,
            `a ttl of ${ttlSeconds} s is more than half of the window of ${name} (${windowSeconds} s)`,
            `keep a value for at most ${Math.floor(windowSeconds / 2)} s, or declare a window of at least ${2 * ttlSeconds} s`,
          ),
        ]),
    ...(staleLimitSeconds <= capSeconds
      ? []
      : [
          refusal(
            `${at}.staleLimit`,
            `a staleLimit of ${staleLimitSeconds} s goes beyond the cap of the window of ${name} (${capSeconds} s)`,
            `work on for at most ${capSeconds} s without the vault, or declare a later cap`,
          ),
        ]),
  ];
}

function strangersOf({ delegates }: PactCredential, found: Credential, at: string): RekeyError[] {
  return delegates.flatMap((delegate, index) =>
    clientOf(found, delegate) === undefined
      ? [
          refusal(
            `${at}.delegates[${index}]`,
            `"${delegate}" is not a holder of kind client of ${found.name}`,
            'declare the sub-agent as a holder of the same credential, and apply it',
          ),
        ]
      : [],
  );
}

/** The refusal of a delegation that leads back to where it began. */
export function cycleRefused(credentialIndex: number, cycle: readonly string[]): RekeyError {
  return refusal(
    `credentials[${credentialIndex}].delegates`,
    `the delegation leads back to where it began: ${cycle.join(' → ')}`,
    'take one of these out of the pact of the one before it',
  );
}

function refusal(field: string, message: string, remedy: string): RekeyError {
  return new RekeyError('ERR_PACT', message, { field, remedy });
}

/** The next version of a pact; undefined where it says what the one before says. */
export function nextVersion(
  terms: PactTerms,
  before: Pact | undefined,
  { actor, now }: { actor: string; now: number },
): Pact | undefined {
  const isInService = before !== undefined && before.decommissioned === undefined;
  if (isInService && JSON.stringify(termsOf(before)) === JSON.stringify(termsOf(terms))) return undefined;
  return { ...termsOf(terms), version: (before?.version ?? 0) + 1, actor, registeredAt: toInstant(now) };
}

/** The pact of an agent that is out of service from now on; of one without a pact, one that says nothing else. */
export function decommissioned(
  agent: string,
  before: Pact | undefined,
  { at, ...by }: Decommissioning,
): Pact {
  const none = { agent, credentials: [], checkpoint: false, sessionLimitSeconds: 0, version: 0 };
  return {
    ...(before ?? { ...none, actor: by.actor, registeredAt: at }),
    version: (before?.version ?? 0) + 1,
    decommissioned: { at, ...by },
  };
}

/** @throws RekeyError ERR_FORBIDDEN for an agent that was taken out of service */
export function assertInService(of: Pick<Pact, 'agent' | 'decommissioned'> | undefined): void {
  if (of?.decommissioned === undefined) return;
  const { agent, decommissioned: since } = of;
  throw new RekeyError('ERR_FORBIDDEN', `the agent "${agent}" was taken out of service at ${since.at}`, {
    field: 'agent',
    remedy: 'an operator brings it back by registering its pact: rekey pacts apply',
  });
}

/** The terms in one order of their fields, so that the same terms are the same text. */
function termsOf({ agent, credentials, checkpoint, sessionLimitSeconds }: PactTerms): PactTerms {
  return {
    agent,
    credentials: credentials.map(
      ({ credential: name, refresh, ttlSeconds, staleLimitSeconds, uses, usesPerHour, delegates }) => ({
        credential: name,
        refresh,
        ttlSeconds,
        staleLimitSeconds,
        uses,
        ...(usesPerHour === undefined ? {} : { usesPerHour }),
        delegates,
      }),
    ),
    checkpoint,
    sessionLimitSeconds,
  };
}
