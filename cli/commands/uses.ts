import type { Command } from 'commander';
import type { UsesAnswer } from '../../shared/api/messages.ts';
import type { Instant } from '../../shared/domain/clock.ts';
import { sourceName } from '../../shared/domain/use-sources.ts';
import { examples, moment, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';
import { readUses } from '../incidents.ts';
import { when } from '../render.ts';

/** `rekey uses NAME`: who used a credential between two times (A3). */
async function uses(
  context: Context,
  name: string,
  span: { from?: string | undefined; to?: string | undefined },
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const answer = await out.waiting(
    'reading what agents have reported and upstreams tell',
    readUses(client, name, span),
  );
  out.data(answer);
  const used = answer.uses.filter(({ succeeded, refused }) => succeeded + refused > 0);
  const grouped = [
    ...Map.groupBy(used, ({ agent, session, version }) => `${agent} ${session} ${version}`).values(),
  ];
  out.line(
    `Uses of ${answer.credential} that agents reported from ${when(answer.from)} to ${when(answer.to)}`,
  );
  if (grouped.length > 0)
    out.table(
      ['AGENT', 'SESSION', 'VERSION', 'FIRST', 'LAST', 'SUCCEEDED', 'REFUSED'],
      grouped.map((same) => [
        same[0]?.agent ?? '',
        same[0]?.session.slice(0, 8) ?? '',
        same[0]?.version.slice(0, 8) ?? '',
        ...spanOf(same),
        String(same.reduce((sum, each) => sum + each.succeeded, 0)),
        String(same.reduce((sum, each) => sum + each.refused, 0)),
      ]),
    );
  else out.line('None was reported. Whoever reports nothing shows in no answer.');
  tellUpstream(context, answer);
  if (answer.from < answer.keptSince)
    out.note(
      `reports that ended before ${when(answer.keptSince)} are in the archive only (docs/forensics.md)`,
    );
  return EXIT.ok;
}

/** What upstreams tell, a row for each workflow, address and scope; which says nothing of times that no source covers. */
function tellUpstream({ out }: Context, { upstream, coverage }: UsesAnswer): void {
  if (upstream.length === 0 && coverage.length === 0) return;
  const grouped = Map.groupBy(upstream, ({ source, keyId, version, who, address, scope, outcome }) =>
    JSON.stringify([source, keyId, version, who, address, scope, outcome]),
  );
  out.line('');
  out.line('Uses that upstreams tell of');
  if (grouped.size === 0) out.line('None in the times of which they have told.');
  else
    out.table(
      ['TOLD BY', 'KEY', 'WHO', 'ADDRESS', 'SCOPE', 'OUTCOME', 'FIRST', 'LAST'],
      [...grouped.values()].map((same) => [
        sourceName(same[0]?.source ?? ''),
        same[0]?.keyId ?? 'read of the secret',
        same[0]?.who ?? '',
        same[0]?.address ?? '–',
        same[0]?.scope ?? '–',
        outcomeOf(same),
        ...spanOf(same),
      ]),
    );
}

/** When the first of them began, and the last ended. */
function spanOf(same: readonly { readonly from: Instant; readonly to: Instant }[]): [string, string] {
  const begun = same.map(({ from }) => from).toSorted();
  const ended = same.map(({ to }) => to).toSorted();
  return [when(begun[0]), when(ended.at(-1))];
}

/** Counts where the source counts. */
function outcomeOf(same: UsesAnswer['upstream']): string {
  const total = (name: 'succeeded' | 'refused'): number | undefined => {
    const counts = same.flatMap((use) => use[name] ?? []);
    return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
  };
  const [succeeded, refused] = [total('succeeded'), total('refused')];
  if (succeeded === undefined && refused === undefined) return same[0]?.outcome ?? '–';
  return `${String(succeeded ?? '–')} succeeded, ${String(refused ?? '–')} refused`;
}

/** `rekey uses` on the command line. */
export const addUses: AddCommand = (program, run) => {
  program
    .command('uses')
    .summary('who used a credential between two times')
    .description(
      'Lists what agents have reported of their uses of a credential, sub-agents as agents of their own, and what upstreams tell of it. Agents report where their pact says so.',
    )
    .argument('<name>', 'name or id of the credential')
    .option('--from <time>', 'first moment, default: a day before the last', moment('--from'))
    .option('--to <time>', 'last moment, default: now', moment('--to'))
    .addHelpText(
      'after',
      examples('rekey uses orders-db --from 2026-11-22T08:00:00Z --to 2026-11-22T12:00:00Z'),
    )
    .action(async (name: string, given: { from?: string; to?: string }, command: Command) => {
      if (given.from !== undefined && given.to !== undefined && given.from > given.to)
        throw usage('--from is later than --to');
      await run(command, (context) => uses(context, name, given));
    });
};
