import type { Command } from 'commander';
import { examples, moment, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';
import { readUses } from '../incidents.ts';
import { when } from '../render.ts';

/** `rekey uses NAME`: which agents used a credential between two times (A3). */
async function uses(
  context: Context,
  name: string,
  span: { from?: string | undefined; to?: string | undefined },
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const answer = await out.waiting('reading what agents have reported', readUses(client, name, span));
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
        when(same.map(({ from }) => from).toSorted()[0]),
        when(
          same
            .map(({ to }) => to)
            .toSorted()
            .at(-1),
        ),
        String(same.reduce((sum, each) => sum + each.succeeded, 0)),
        String(same.reduce((sum, each) => sum + each.refused, 0)),
      ]),
    );
  else out.line('None was reported. Whoever reports nothing shows in no answer.');
  if (answer.from < answer.keptSince)
    out.note(
      `reports that ended before ${when(answer.keptSince)} are in the archive only (docs/forensics.md)`,
    );
  return EXIT.ok;
}

/** `rekey uses` on the command line. */
export const addUses: AddCommand = (program, run) => {
  program
    .command('uses')
    .summary('which agents used a credential between two times')
    .description(
      'Lists what agents have reported of their uses of a credential, sub-agents as agents of their own. Agents report where their pact says so.',
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
