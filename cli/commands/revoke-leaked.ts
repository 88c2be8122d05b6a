import { randomUUID } from 'node:crypto';
import {
  leakAnswer,
  leakRequest,
  type FamilyLeak,
  type LeakAnswer,
  type LeakMatch,
} from '../../shared/api/messages.ts';
import { requestError } from '../../shared/api/problems.ts';
import { candidatesOf } from '../../shared/domain/leak.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { conclude, consequences, followEmergency, staysHalted, type RevokeOptions } from '../emergency.ts';
import { EXIT, Failure, usage } from '../failure.ts';
import { foretellEnd } from '../families.ts';
import type { Output } from '../io.ts';
import { aboutFamily, familyLines, familyName } from '../leaked-families.ts';
import { when } from '../render.ts';
import { describeRevocation } from '../revocation.ts';
import { readCredential } from './show.ts';
import { inWords } from '../../shared/domain/wording.ts';

/** What the help of `rekey revoke` says of --leaked. */
export const LEAKED_HELP = `
With --leaked - the credential, or token family, is found by a value that turned up somewhere. Standard input holds it: a password or key
as it is or on a line of its own, the JSON of the secret, a connection URI, or a line such as PGPASSWORD=…. Only SHA-256
fingerprints of it leave this process. Exit codes:
  ${EXIT.ok}  live → revoked: its emergency has begun (with --wait: and ended well)
  ${EXIT.dead}  already dead: the upstream was asked again and showed it; of a token, its server has confirmed its revocation
  ${EXIT.notOurs}  not ours: no credential of this deployment ever had it, and no token family in the last 90 days
  ${EXIT.byHand}  live, as far as is known, and only observed: a person has to revoke it
  ${EXIT.notConfirmed}  ours and not known to work, but nobody could confirm that it is dead
`;

const EXIT_OF: Readonly<Record<string, number>> = {
  live: EXIT.ok,
  dead: EXIT.dead,
  'not-ours': EXIT.notOurs,
  observed: EXIT.byHand,
  'not-confirmed': EXIT.notConfirmed,
};

/** The options, if the API would take them: what is wrong is said before the value is read. */
export function checkedLeak(options: RevokeOptions): RevokeOptions {
  const { incident, reason, replace } = options;
  const parsed = leakRequest
    .omit({ fingerprints: true })
    .safeParse({ incident, reason, replace }, { error: inWords });
  if (parsed.success) return options;
  const { message, field } = requestError(parsed.error);
  throw new Failure('ERR_USAGE', message, { exit: EXIT.usage, field });
}

/** `rekey revoke --leaked -`: what a value opens is revoked. With --yes the first request is the revocation itself. */
export async function revokeLeaked(context: Context, options: RevokeOptions): Promise<number> {
  const { out } = context;
  if (out.io.stdinIsTty) {
    throw usage(
      'the value is read from standard input, and that is a terminal',
      'pipe it: pbpaste | rekey revoke --leaked - …, or read it from a file: rekey revoke --leaked - … < file',
    );
  }
  const fingerprints = candidatesOf(await out.io.input());
  const client = await context.client();
  const ask = (dryRun: boolean): Promise<LeakAnswer> => report(out, client, fingerprints, options, dryRun);
  if (options.dryRun || !options.yes) {
    const seen = await ask(true);
    const live = liveIn(seen);
    if (options.dryRun) await describe(out, client, live, options);
    if (options.dryRun || isNobodys(seen)) return told(out, seen, options);
    if (live.matches.length + live.families.length > 0) await confirm(out, client, live, options);
  }
  const answer = await ask(false);
  if (answer.emergency === undefined || !options.wait) return told(out, answer, options);
  tell(out, answer, options);
  const ended = await followEmergency(context, client, answer.emergency);
  out.data({ ...answer, ended });
  return conclude(out, ended) === EXIT.ok ? exitOf(answer) : EXIT.unhappy;
}

/** What of an answer may work. */
interface Live {
  readonly matches: readonly LeakMatch[];
  readonly families: readonly FamilyLeak[];
}

function liveIn({ matches, families = [] }: LeakAnswer): Live {
  const isLive = ({ outcome }: { readonly outcome: string }): boolean => outcome === 'live';
  return { matches: matches.filter(isLive), families: families.filter(isLive) };
}

function isNobodys({ matches, families = [] }: LeakAnswer): boolean {
  return matches.length + families.length === 0;
}

function report(
  out: Output,
  client: ApiClient,
  fingerprints: readonly string[],
  { incident, reason, replace }: RevokeOptions,
  dryRun: boolean,
): Promise<LeakAnswer> {
  const work = client.post(leakAnswer, ['leaks'], {
    body: { fingerprints, incident, reason, replace, dryRun },
    idempotencyKey: randomUUID(),
    timeoutMs: LONG_TIMEOUT_MS,
  });
  return out.waiting('matching the value', work);
}

/** What an emergency would do to each; in general where one can't be read, which delays nothing else. */
async function describe(
  out: Output,
  client: ApiClient,
  { matches, families }: Live,
  options: RevokeOptions,
): Promise<void> {
  if (families.length > 0)
    foretellEnd(
      out,
      families.map((leak) => ({ name: familyName(leak), holders: leak.holders })),
    );
  const answers = await Promise.all(
    matches.map(({ credential, credentialId }) =>
      readCredential(client, credential ?? credentialId).catch(() => undefined),
    ),
  );
  for (const answer of answers) if (answer !== undefined) describeRevocation(out, answer, options);
  if (!answers.includes(undefined)) return;
  out.line('For each credential that could not be read now:');
  for (const step of consequences(options)) out.line(`  - ${step}`);
}

async function confirm(out: Output, client: ApiClient, live: Live, options: RevokeOptions): Promise<void> {
  const names = [...live.matches.map(nameOf), ...live.families.map(familyName)].join(', ');
  const nobody = usage(
    `the value is live (${names}); it was not revoked, since nobody can be asked here`,
    'add --yes: it is revoked at once',
  );
  if (out.json) throw nobody;
  for (const match of live.matches) out.line(`${out.style('red', 'live')}: ${about(match)}`);
  for (const leak of live.families) out.line(`${out.style('red', 'live')}: ${aboutFamily(leak)}`);
  out.line('This is an emergency revocation.');
  await describe(out, client, live, options);
  const answer = await out.io.askTerminal(`Revoke ${names} now? Type yes: `);
  if (answer === undefined) throw nobody;
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new Failure('ERR_CANCELLED', 'cancelled; nothing was revoked');
}

function told(out: Output, answer: LeakAnswer, options: RevokeOptions): number {
  out.data(answer);
  tell(out, answer, options);
  return exitOf(answer);
}

/** A word that this version doesn't know is no good news. */
function exitOf({ outcome }: LeakAnswer): number {
  return EXIT_OF[outcome] ?? EXIT.notConfirmed;
}

function tell(out: Output, answer: LeakAnswer, options: RevokeOptions): void {
  if (isNobodys(answer)) {
    out.line('not ours: no credential of this deployment ever had this value. Nothing was stored of it.');
    out.line('Whatever else stood around a value hides it: then pipe the value alone.');
    return;
  }
  for (const match of answer.matches) for (const line of linesOf(out, match, answer)) out.line(line);
  for (const leak of answer.families ?? []) for (const line of familyLines(out, leak, answer)) out.line(line);
  const names = answer.matches.filter(({ outcome }) => outcome === 'live').map(nameOf);
  if (answer.emergency !== undefined && !options.replace) out.line(staysHalted(names, options));
  if (answer.dryRun) out.line('Nothing was changed or recorded.');
}

function linesOf(out: Output, match: LeakMatch, { emergency, dryRun }: LeakAnswer): string[] {
  const { outcome, deactivation, why, byHand, unrecorded } = match;
  switch (outcome) {
    case 'live':
      return [
        dryRun
          ? `${out.style('red', 'live')}: ${about(match)}; it would be revoked`
          : `${out.style('red', 'live → revoking')}: ${about(match)}, by emergency ${emergency ?? ''}`,
        ...(unrecorded === true
          ? ['  The audit trail did not take the report in time; the emergency has records of its own.']
          : []),
      ];
    case 'dead':
      return [
        `${out.style('green', 'already dead (checked again)')}: ${about(match)}`,
        `  ${deactivation?.detail ?? ''}, seen ${deactivation === undefined ? '' : when(deactivation.observedAt)}`,
      ];
    case 'observed':
      return [
        `${out.style('red', 'LIVE, NOT REVOKED')}: ${about(match)}, which Rekey only observes and may not revoke`,
        '  Revoke it by hand, now:',
        ...(byHand ?? 'end the login that its secret names, at its upstream')
          .split('\n')
          .map((line) => `  ${line}`),
      ];
    default:
      return [
        `${out.style('red', 'NOT CONFIRMED')}: ${about(match)}; nobody could confirm that it is dead: ${why ?? outcome}`,
        '  Look at its upstream by hand.' +
          (match.credential === undefined
            ? ''
            : ` Where it may still work: rekey revoke ${match.credential} --incident … --reason …, which revokes everything of it.`),
      ];
  }
}

function about(match: LeakMatch): string {
  const { handle, issuedAt, holders } = match;
  const held = holders.length === 0 ? '' : `, held by ${holders.join(', ')}`;
  return `${nameOf(match)} (${handle.id} generation ${handle.generation}, of ${when(issuedAt)}${held})`;
}

function nameOf({ credential, credentialId }: LeakMatch): string {
  return credential ?? `the former credential ${credentialId}`;
}
