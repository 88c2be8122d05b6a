import type { Command } from 'commander';
import {
  credentialDiagnosis,
  listAnswer,
  type CredentialDiagnosis,
  type CredentialView,
  type FamilyView,
} from '../../shared/api/messages.ts';
import { coverageChecks, rootsCheck, unregistered, type Covered } from '../../shared/domain/coverage.ts';
import { bad, tallyOf, type Check, type CheckState, type Tally } from '../../shared/domain/diagnosis.ts';
import { outagesCheck } from '../../shared/domain/outage.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { checkDeployment, unanswered } from '../deployment.ts';
import { EXIT, Failure, failureOf } from '../failure.ts';
import { diagnosisOf, familiesAmong, isUnknown, readFamilies } from '../families.ts';
import type { Output } from '../io.ts';

/** Of one thing that was looked at: the deployment, or a credential by its name. */
interface Group {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** A credential, with what there is of its owner's at the upstream; or a token family. */
type Diagnosed = Group & Covered & { readonly outage?: CredentialDiagnosis['outage'] };

/** Each takes a function in the database's network for a few seconds. */
const AT_ONCE = 8;

/** `rekey doctor [NAMES...]` */
async function doctor(context: Context, names: readonly string[]): Promise<number> {
  const { out } = context;
  const { checks, client } = await out.waiting('checking the deployment', checkDeployment(context));
  const wanted = client === undefined || names.length > 0 ? { names } : await list(out, client);
  const unlisted = 'unlisted' in wanted ? [wanted.unlisted] : [];
  const deployment: Group = { name: 'the deployment', checks: [...checks, ...unlisted] };
  render(out, deployment);
  const credentials =
    client === undefined || !('names' in wanted) ? [] : await checkAll(out, client, wanted.names);
  // With names given, what the others hold would be taken for nobody's.
  const isAll = names.length === 0 && unlisted.length === 0;
  const found = 'all' in wanted ? wanted.all : [];
  const upstreams: Group = {
    name: 'the upstreams',
    checks: isAll ? [...coverageChecks(credentials), ...rootsCheck(found)] : [],
  };
  if (upstreams.checks.length > 0) render(out, upstreams);
  const families = client === undefined || names.length > 0 ? [] : await checkFamilies(out, client);
  const outages = [...credentials, ...families].flatMap(({ name, outage }) =>
    outage === undefined ? [] : [{ name, outage }],
  );
  const stopped: Group = {
    name: 'if Rekey stops now',
    checks: outages.length === 0 ? [] : [outagesCheck(outages, Date.now())],
  };
  if (outages.length > 0) render(out, stopped);
  const groups = [deployment, ...credentials, ...families, upstreams, stopped];
  const tally = tallyOf(groups.flatMap((group) => group.checks));
  out.data({
    deployment: { checks: deployment.checks },
    credentials: credentials.map(({ name, checks: its, outage }) => ({
      credential: name,
      checks: its,
      outage,
    })),
    stopped: { checks: stopped.checks },
    families: families.map((group) => ({ family: group.name, checks: group.checks })),
    ...(isAll ? { upstreams: { checks: upstreams.checks, unregistered: unregistered(credentials) } } : {}),
    tally,
  });
  conclude(out, groups, tally);
  return tally.fail > 0 ? EXIT.faults : tally['not-checked'] > 0 ? EXIT.unchecked : EXIT.ok;
}

/** The names of all credentials, or why nobody can tell. */
async function list(
  out: Output,
  client: ApiClient,
): Promise<{ names: readonly string[]; all: readonly CredentialView[] } | { unlisted: Check }> {
  const all: CredentialView[] = [];
  let page: string | undefined;
  try {
    do {
      const answer = await out.waiting(
        'listing',
        client.get(listAnswer, ['credentials'], { query: { page } }),
      );
      all.push(...answer.credentials);
      page = answer.next;
    } while (page !== undefined);
  } catch (error) {
    return { unlisted: unanswered('deployment', 'credentials', failureOf(error)) };
  }
  return { names: all.map(({ name }) => name).toSorted(), all };
}

/** Each told of as soon as those before it are. */
async function checkAll(out: Output, client: ApiClient, names: readonly string[]): Promise<Diagnosed[]> {
  const checked: Diagnosed[] = [];
  await inOrder(
    names,
    async (name) => diagnosed(client, name),
    (group) => {
      checked.push(group);
      render(out, group);
      out.progress(`checked ${checked.length} of ${names.length}`);
    },
  );
  out.clearStatus();
  return checked;
}

/** Token families, after the credentials. */
async function checkFamilies(out: Output, client: ApiClient): Promise<Diagnosed[]> {
  const families = await readFamilies(client).catch((error: unknown) => failureOf(error));
  if (families instanceof Failure) {
    const group = { name: 'token families', checks: [unanswered('deployment', 'families', families)] };
    render(out, group);
    return [group];
  }
  const checked: Diagnosed[] = [];
  await inOrder(
    families,
    async (family) => diagnosedFamily(client, family),
    (group) => {
      checked.push(group);
      render(out, group);
    },
  );
  return checked;
}

async function diagnosedFamily(client: ApiClient, { name, tokens }: FamilyView): Promise<Diagnosed> {
  const ends = tokens && { outage: { failsAt: tokens.expiresAt, why: 'its access token ends' } };
  try {
    return { name, checks: (await diagnosisOf(client, name)).checks as Check[], ...ends };
  } catch (error) {
    return { name, checks: [unanswered('credential', 'diagnosis', failureOf(error))], ...ends };
  }
}

async function diagnosed(client: ApiClient, name: string): Promise<Diagnosed> {
  try {
    const path = ['credentials', name, 'diagnosis'];
    const answer = await client.get(credentialDiagnosis, path, { timeoutMs: LONG_TIMEOUT_MS });
    const { credential, checks, held, survey, outage } = answer;
    return { name: credential, checks: checks as Check[], held, survey, outage };
  } catch (error) {
    const failure = failureOf(error);
    const [family] = isUnknown(error) ? await familiesAmong(client, [name]).catch(() => []) : [];
    if (family !== undefined) return diagnosedFamily(client, family);
    const { code, message, remedy = 'try again' } = failure;
    const passing = ['ERR_UNAVAILABLE', 'ERR_TIMEOUT', 'ERR_CONNECTION'].includes(code);
    const check = unanswered('credential', 'diagnosis', failure);
    return {
      name,
      checks: [passing ? bad('not-checked', 'credential', 'diagnosis', message, remedy) : check],
    };
  }
}

/** Several at once, told of in their order. `work` must not throw. */
async function inOrder<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  done: (result: R) => void,
): Promise<void> {
  const started: Promise<R>[] = [];
  for (const [index] of items.entries()) {
    for (const item of items.slice(started.length, index + AT_ONCE)) started.push(work(item));
    const next = started[index];
    if (next !== undefined) done(await next);
  }
}

const WORDS: Readonly<Record<CheckState, { word: string; style: 'green' | 'yellow' | 'red' | 'cyan' }>> = {
  ok: { word: 'ok', style: 'green' },
  warn: { word: 'warn', style: 'yellow' },
  fail: { word: 'fail', style: 'red' },
  'not-checked': { word: 'not checked', style: 'cyan' },
};

/** A line for each check. */
function render(out: Output, { name, checks }: Group): void {
  out.line(out.style('bold', name));
  const width = Math.max(0, ...checks.map((check) => titleOf(check).length));
  for (const check of checks) {
    const { word, style } = WORDS[check.state];
    out.line(`  ${out.style(style, word.padEnd(11))}  ${titleOf(check).padEnd(width)}  ${check.detail}`);
  }
}

function titleOf({ area, name }: Check): string {
  return area === 'deployment' || area === 'upstream' ? name : `${area}: ${name}`;
}

/** What somebody should know or do; what must be mended comes last, where it is seen. */
function conclude(out: Output, groups: readonly Group[], tally: Tally): void {
  for (const [state, heading] of [
    ['warn', 'to know'],
    ['not-checked', 'not checked'],
    ['fail', 'to be mended'],
  ] as const) {
    if (tally[state] === 0) continue;
    out.line(`\n${out.style('bold', heading)}`);
    for (const { name, checks } of groups) {
      for (const check of checks.filter((each) => each.state === state)) {
        out.line(`  ${out.style(WORDS[state].style, name)}, ${titleOf(check)}: ${check.detail}`);
        out.line(`    remedy: ${check.remedy ?? ''}`);
      }
    }
  }
  const counts = `${tally.ok} ok, ${tally.warn} to know, ${tally['not-checked']} not checked, ${tally.fail} to be mended`;
  out.line(`\n${counts}`);
}

/** `rekey doctor` on the command line. */
export const addDoctor: AddCommand = (program, run) => {
  program
    .command('doctor')
    .summary('check the deployment and its credentials')
    .description(
      'Checks the deployment, and of each credential its secrets, keys, target, schedule, holders and archive, with the ' +
        'rights and the network of the functions that do the work; what could do without a key, what would fail if Rekey stopped now, and (with no names given) ' +
        'what exists at the upstreams that no credential has. Names what is missing, with the remedy. Changes ' +
        'nothing. Exit code 0: all is well; 3: something must be mended; 10: something could not be checked.',
    )
    .argument('[names...]', 'credentials and token families to check; default: all')
    .addHelpText(
      'after',
      examples('rekey doctor', 'rekey doctor orders-db', 'rekey doctor --json | jq .tally'),
    )
    .action(async (names: string[], _given: object, command: Command) => {
      await run(command, (context) => doctor(context, names));
    });
};
