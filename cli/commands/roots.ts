import type { Command } from 'commander';
import type { CredentialView } from '../../shared/api/messages.ts';
import { dependantsOf, someOf, undeclaredRoots } from '../../shared/domain/roots.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import type { Output } from '../io.ts';
import { day, distance, isPast } from '../render.ts';
import { readAll } from './show.ts';

type Root = CredentialView & { readonly root: NonNullable<CredentialView['root']> };

const HOW: Readonly<Record<string, string>> = {
  rekey: 'by Rekey',
  'by-hand': 'by hand',
  revoked: 'REVOKED: by hand, now',
};

/** `rekey roots`: the administrative credentials that Rekey itself uses. */
async function roots(context: Context): Promise<number> {
  const { out } = context;
  const all = await readAll(out, await context.client());
  const declared = all.filter((each): each is Root => each.root !== undefined);
  const undeclared = undeclaredRoots(all);
  const now = out.io.now();
  out.data({
    roots: declared.map((each) => ({ ...summaryOf(each, now), usedBy: dependantsOf(each, all) })),
    undeclared,
  });
  if (declared.length > 0) {
    out.table(
      ['NAME', 'OWNER', 'PROVIDER', 'REPLACED', 'SINCE', 'DUE', 'USED BY', 'SCOPE'],
      declared.map((each) => [
        each.name,
        each.root.owner,
        providerOf(each),
        HOW[each.root.how] ?? each.root.how,
        day(each.current?.issuedAt),
        dueText(out, each, now),
        String(dependantsOf(each, all).length),
        each.root.scope,
      ]),
    );
  } else out.line('No root is declared: docs/roots.md shows how.');
  for (const each of declared.filter((one) => isAsked(one, now))) renderTask(out, each);
  for (const { secret, usedBy } of undeclared) {
    out.line(`${out.style('yellow', `! ${secret}`)}: used by ${someOf(usedBy)}, and nobody answers for it`);
  }
  if (undeclared.length > 0) {
    out.line(
      '  remedy: declare each under roots: in rekey.yaml, with owner, scope and interval (docs/roots.md)',
    );
  }
  return EXIT.ok;
}

function summaryOf(each: Root, now: number): object {
  const { name, provider, target, mode, status, secret, admin, current, dueAt, policy, root } = each;
  return {
    name,
    ...root,
    provider,
    target,
    mode,
    status,
    secret: secret.name,
    admin,
    interval: policy.interval,
    ...(current === undefined ? {} : { since: current.issuedAt, fingerprint: current.fingerprint }),
    ...(dueAt === undefined ? {} : { dueAt }),
    overdue: isPast(dueAt, now),
    asked: isAsked(each, now),
  };
}

/** Whether a person is to act now. */
function isAsked({ root }: Root, now: number): boolean {
  return root.how === 'revoked' || isPast(root.taskSince, now);
}

function providerOf({ provider, target }: Root): string {
  const { upstream } = Object(target) as { upstream?: unknown };
  return typeof upstream === 'string' ? upstream : provider;
}

function dueText(out: Output, { dueAt }: Root, now: number): string {
  if (dueAt === undefined) return '–';
  const text = `${day(dueAt)} (${distance(dueAt, now)})`;
  return isPast(dueAt, now) ? out.style('red', text) : text;
}

function renderTask(out: Output, { name, root }: Root): void {
  out.line();
  out.line(
    `${out.style('yellow', name)}: ${root.owner} is to replace it${root.how === 'revoked' ? ', now' : ''}`,
  );
  for (const [index, step] of root.steps.entries()) out.line(`  ${index + 1}. ${step}`);
}

/** `rekey roots` on the command line. */
export const addRoots: AddCommand = (program, run) => {
  program
    .command('roots')
    .summary('the administrative credentials that Rekey itself uses')
    .description(
      'Lists the administrative credentials that Rekey uses at upstreams: who answers for each, what it has to be able to do, ' +
        'how old it is, by when and how it is replaced, and the steps where a person is to do it now. Names those in use that ' +
        'nobody has declared.',
    )
    .addHelpText('after', examples('rekey roots', 'rekey roots --json | jq .undeclared'))
    .action(async (_given: object, command: Command) => {
      await run(command, roots);
    });
};
