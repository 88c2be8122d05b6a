import type { Command } from 'commander';
import { CAPABILITIES, type Capabilities } from '../../shared/domain/capabilities.ts';
import { durationText } from '../../shared/domain/duration.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';

interface Known {
  readonly type: string;
  readonly provider: string;
  readonly facts: Capabilities;
}

/** `rekey providers`: what each upstream can do. It asks nobody. */
async function providers({ out }: Context, wanted: string | undefined): Promise<number> {
  const all = Object.entries(CAPABILITIES).map(([key, facts]): Known => {
    const [type = '', provider = ''] = key.split('/');
    return { type, provider, facts };
  });
  const types = [...new Set(all.map(({ type }) => type))];
  if (wanted !== undefined && !types.includes(wanted)) {
    throw usage(`--type ${wanted}: there is no such type; use one of: ${types.join(', ')}`);
  }
  const shown = all.filter(({ type }) => wanted === undefined || type === wanted);
  out.data(shown.map(({ type, provider, facts }) => ({ type, provider, needsAdmin: true, ...facts })));
  // Types as headings of their own leave the table narrow.
  const rows = types.flatMap((type) => {
    const own = shown.filter((each) => each.type === type);
    return own.length === 0 ? [] : [[out.style('bold', type)], ...own.map(row)];
  });
  out.table(['PROVIDER', 'LIVE', 'MAKES', 'SUSPENDS', 'REVOKES', 'DEAD IN', 'LAST USE'], rows);
  const refusals = shown.flatMap(({ provider, facts }) =>
    facts.mayRefuse === undefined ? [] : [`* ${provider} may refuse: ${facts.mayRefuse}`],
  );
  if (refusals.length > 0) out.line();
  for (const line of refusals) out.line(line);
  const keyless = shown.flatMap(({ provider, facts }) =>
    facts.keyless === undefined ? [] : [`  ${provider}: ${facts.keyless}`],
  );
  if (keyless.length > 0) {
    out.line();
    out.line('Better than any key, where it fits:');
    for (const line of keyless) out.line(line);
  }
  out.note('docs/providers/README.md says what the columns mean; --json has every fact');
  return Promise.resolve(EXIT.ok);
}

function row({ provider, facts }: Known): string[] {
  const { canCreate, canSuspend, revocation, revocationDelaySeconds, lastUsedLagSeconds: lag } = facts;
  const isTask = facts.task === true;
  return [
    `  ${provider}`,
    isTask ? '–' : beside(facts),
    canCreate ? 'yes' : isTask ? 'no' : 'pool',
    canSuspend ? 'yes' : 'no',
    facts.mayRefuse === undefined ? revocation.replace('-hook', '') : `${revocation}*`,
    isTask ? '–' : revocationDelaySeconds === 0 ? 'at once' : durationText(revocationDelaySeconds),
    lag === undefined ? 'not told' : lag === 0 ? 'at once' : `${durationText(lag)} later`,
  ];
}

function beside({ overlap }: Capabilities): string {
  switch (overlap.kind) {
    case 'dual':
      return String(overlap.maxLive);
    case 'grace':
      return durationText(overlap.seconds);
    case 'none':
      return 'cut';
  }
}

/** `rekey providers` on the command line. */
export const addProviders: AddCommand = (program, run) => {
  program
    .command('providers')
    .summary('what each upstream can do')
    .description(
      'Lists the providers with what their upstreams can do: how long old and new work beside each other, whether Rekey ' +
        'makes new ones, whether one can be suspended, how soon a revoked one is dead, whether a use is seen. Asks nobody.',
    )
    .option('--type <type>', 'only this type of credential, e.g. llm-key')
    .addHelpText('after', examples('rekey providers', 'rekey providers --type llm-key --json'))
    .action(async ({ type }: { type?: string }, command: Command) => {
      await run(command, async (context) => providers(context, type));
    });
};
