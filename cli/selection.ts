import { selectionAnswer, type SelectionAnswer } from '../shared/api/messages.ts';
import type { Selection } from '../shared/domain/selection.ts';
import { beginEmergency, sayBeside } from './begin-emergency.ts';
import type { Context } from './context.ts';
import type { RevokeOptions } from './emergency.ts';
import { EXIT, Failure, usage } from './failure.ts';
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
  const answer = await out.waiting('reading', client.post(selectionAnswer, ['emergencies'], { body }));
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
  const follow = await beginEmergency(context, { credentials, shown: true }, options);
  return follow();
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
