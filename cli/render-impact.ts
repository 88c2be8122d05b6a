import type { ImpactAnswer, MomentView } from '../shared/api/messages.ts';
import { EXIT, Failure, Failures } from './failure.ts';
import type { Output } from './io.ts';
import { distance, when } from './render.ts';

/**
 * Shows what a rotation would do; the answer is the exit code.
 * @throws Failure with every reason for which it would be refused now, once the rest is shown
 */
export function renderImpact(out: Output, impact: ImpactAnswer): number {
  const { credential, mode, refusals, affected, agents, irreversible, also, unknown } = impact;
  const [first, ...others] = refusals.map(({ code, message, ...more }) => new Failure(code, message, more));
  out.data({ dryRun: true, allowed: first === undefined, ...impact, ...(first && { error: first }) });
  out.line(
    `A rotation of ${out.style('bold', credential)} (mode ${mode}), as predicted from what is declared:`,
  );
  for (const { message } of refusals) out.line(`${out.style('red', 'would be refused now')}: ${message}`);
  for (const text of impact.beside ?? []) out.line(`${out.style('yellow', 'beside another')}: ${text}`);
  out.line();
  out.line(out.style('bold', `Who is hit (${agents} ${agents === 1 ? 'agent' : 'agents'})`));
  for (const { name, kind, how, movedBy } of affected) {
    const by = movedBy === undefined ? '' : `; at the latest ${when(movedBy)}`;
    out.line(`  ${name} (${kind}): ${how}${by}`);
  }
  for (const { name, from, sessions, refresh, atRisk } of impact.inSession ?? []) {
    const who = from === undefined ? name : `${name}, which gets it from ${from}`;
    const how =
      refresh === undefined
        ? 'no pact: nothing is known of how it changes, and nothing is retired'
        : refresh === 'in-session'
          ? 'change it while they work'
          : out.style('yellow', 'can’t change it while they work');
    out.line(`  ${who}: ${sessions} in session now; ${how}`);
    for (const { instance, since } of atRisk)
      out.line(
        `    ${instance}: at work since ${when(since)}; its task is at risk where it isn’t waited for`,
      );
  }
  for (const text of unknown) out.line(`  ${out.style('yellow', 'not known')}: ${text}`);
  timeline(out, 'If it started now', impact.now, impact.at);
  if (impact.planned === undefined) {
    out.line();
    out.line(
      `${out.style('bold', 'As planned')}: it is not planned: ${impact.notPlanned ?? 'nobody says why'}`,
    );
  } else {
    timeline(out, 'As planned', impact.planned.moments, impact.planned.startsAt);
  }
  list(
    out,
    'What can’t be undone',
    irreversible.map(({ text, from }) =>
      from === undefined ? text : `${text} (from ${when(from)} on, if it started now)`,
    ),
  );
  if (impact.limits !== undefined && impact.limits.length > 0)
    list(out, 'What the upstream allows', impact.limits);
  list(out, 'What else it does', also);
  out.line('Nothing was changed.');
  if (first === undefined) return EXIT.ok;
  throw others.length === 0
    ? first
    : new Failures([first, ...others], `${refusals.length} reasons against it now`);
}

function timeline(out: Output, title: string, moments: readonly MomentView[], start: string): void {
  out.line();
  out.line(out.style('bold', title));
  for (const { at, text } of moments) {
    const after = at === start ? '' : `${distance(at, Date.parse(start)).replace(/^in /, '+')}: `;
    out.line(`  ${when(at)}  ${after}${text}`);
  }
}

function list(out: Output, title: string, texts: readonly string[]): void {
  out.line();
  out.line(out.style('bold', title));
  for (const text of texts) out.line(`  - ${text}`);
}
