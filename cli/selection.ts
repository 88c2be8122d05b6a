import { MAX_EMERGENCY, selectionAnswer, type SelectionAnswer } from '../shared/api/messages.ts';
import type { Selection } from '../shared/domain/selection.ts';
import { beginEmergency, sayBeside, type Follow } from './begin-emergency.ts';
import type { ApiClient } from './client.ts';
import type { Context } from './context.ts';
import type { RevokeOptions } from './emergency.ts';
import { allOf, EXIT, Failure, failureAt, partly, usage } from './failure.ts';
import type { Output } from './io.ts';
import { revocationPlan } from './revocation.ts';

/** The options of `rekey revoke` that select credentials. */
export interface SelectionFlags {
  readonly agent?: string;
  readonly closure?: true;
  readonly fleet?: string;
  readonly provider?: string;
  readonly everything?: true;
  readonly knownBy?: string;
}

/** What the options select; undefined where they select nothing. @throws Failure where they contradict each other */
export function selectionOf(flags: SelectionFlags): Selection | undefined {
  const { agent, closure, fleet, provider, everything, knownBy } = flags;
  const found = [
    ...(agent === undefined ? [] : [{ agent, ...(closure === undefined ? {} : { closure }) }]),
    ...(fleet === undefined ? [] : [{ fleet }]),
    ...(provider === undefined ? [] : [{ provider }]),
    ...(everything === undefined ? [] : [{ everything }]),
    ...(knownBy === undefined ? [] : [{ knownBy }]),
  ];
  if (found.length > 1) throw usage('give one of --agent, --fleet, --provider, --everything and --known-by');
  if (closure === true && agent === undefined) {
    throw usage('--closure is of an agent', 'add --agent NAME');
  }
  return found[0];
}

/**
 * Revokes a selection. With --yes the first request is the revocation; else it is shown before, and what was shown is what is revoked,
 * whatever has been declared since.
 */
export async function revokeSelected(
  context: Context,
  select: Selection,
  options: RevokeOptions,
): Promise<number> {
  const { out } = context;
  if (options.yes && !options.dryRun) {
    const follow = await beginEmergency(context, { select }, options);
    return follow();
  }
  if (!options.dryRun && (!out.io.stdinIsTty || out.json)) {
    throw usage('an emergency revocation needs confirmation, and nobody can be asked here', 'add --yes');
  }
  const client = await context.client();
  const { incident, reason, replace } = options;
  const body = { select, incident, reason, replace, dryRun: true };
  const answer = await out.waiting('reading', wholeSelection(client, body));
  describe(out, answer, options);
  if (options.dryRun) {
    out.data(answer);
    out.line('Nothing was changed.');
    return EXIT.ok;
  }
  const typed = await out.io.ask(`Revoke these ${answer.selected.length} now? Type yes: `);
  if (typed.trim().toLowerCase() !== 'yes') {
    throw new Failure('ERR_CANCELLED', 'cancelled; nothing was revoked');
  }
  const credentials = answer.selected.map(({ credential }) => credential.id);
  return revokeShown(context, credentials, options);
}

/** What a selection comes to, page by page. */
async function wholeSelection(client: ApiClient, body: object): Promise<SelectionAnswer> {
  const selected: SelectionAnswer['selected'][number][] = [];
  let after: string | undefined;
  for (;;) {
    const asked = after === undefined ? body : { ...body, after };
    const { next, ...page } = await client.post(selectionAnswer, ['emergencies'], { body: asked });
    selected.push(...page.selected);
    if (next === undefined) return { ...page, selected };
    after = next;
  }
}

/**
 * Revokes what was shown, in its order, as many as one request names at a time. One that can't be asked for keeps none of the others
 * from their end. @throws Failures with all that failed
 */
async function revokeShown(
  context: Context,
  credentials: readonly string[],
  options: RevokeOptions,
): Promise<number> {
  const follows: Follow[] = [];
  const failures: Failure[] = [];
  for (let at = 0; at < credentials.length; at += MAX_EMERGENCY) {
    const part = credentials.slice(at, at + MAX_EMERGENCY);
    try {
      follows.push(await beginEmergency(context, { credentials: part, shown: true }, options));
    } catch (error) {
      failures.push(failureAt(`${at + 1} to ${at + part.length} of ${credentials.length}`, error));
    }
  }
  const collect = (error: unknown): number => {
    failures.push(...allOf(error));
    return EXIT.ok;
  };
  const ends = await Promise.all(follows.map((follow) => follow().catch(collect)));
  if (failures.length > 0) throw partly(failures, ...ends);
  return Math.max(...ends);
}

/** Each with why it is among them; what becomes of all is said once. */
function describe(out: Output, answer: SelectionAnswer, options: RevokeOptions): void {
  out.line('This is an emergency revocation. In this order:');
  const plans = answer.selected.map(({ credential, why }) => {
    const plan = revocationPlan({ credential }, options);
    const agents = credential.holders.map(({ name }) => name).join(', ') || 'no holder is known';
    const manual = plan.manual ? `  ${out.style('red', `BY HAND (${plan.kind})`)}` : '';
    out.line(
      `${out.style('bold', credential.name)}  ${credential.type}/${credential.provider}  held by ${agents}${manual}`,
    );
    out.line(`  because ${why.join('; ')}`);
    for (const text of plan.byHand) out.line(`  ${out.style('red', 'BY HAND')}: ${text}`);
    return plan;
  });
  for (const [kind, ones] of Map.groupBy(plans, (plan) => plan.kind)) {
    out.line(`What happens to ${ones.length} (${kind}):`);
    for (const step of new Set(ones.flatMap(({ steps }) => steps))) out.line(`  - ${step}`);
  }
  sayBeside(out, answer, options);
}
