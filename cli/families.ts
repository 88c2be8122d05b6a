import {
  familiesAnswer,
  familyAnswer,
  familyDiagnosis,
  type FamilyDiagnosis,
  type FamilyView,
} from '../shared/api/messages.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from './client.ts';
import type { Context } from './context.ts';
import { EXIT, Failure, failureAt, failureOf, partly, usage } from './failure.ts';
import type { Output } from './io.ts';
import { day, distance, fields, pausedBy, shortPrint, when } from './render.ts';

/** Every token family, by name. */
export async function readFamilies(client: ApiClient): Promise<FamilyView[]> {
  const families: FamilyView[] = [];
  let page: string | undefined;
  do {
    const answer = await client.get(familiesAnswer, ['families'], { query: { page } });
    families.push(...answer.families);
    page = answer.next;
  } while (page !== undefined);
  return families.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A family by its name; undefined where there is none. */
async function familyOf(client: ApiClient, name: string): Promise<FamilyView | undefined> {
  try {
    return (await client.get(familyAnswer, ['families', name])).family;
  } catch (error) {
    if (isUnknown(error)) return undefined;
    throw error;
  }
}

/** Those of `names` that are token families. */
export async function familiesAmong(client: ApiClient, names: readonly string[]): Promise<FamilyView[]> {
  const found = await Promise.all(names.map((name) => familyOf(client, name)));
  return found.filter((family) => family !== undefined);
}

/** Whether the API knows nothing of that name. */
export function isUnknown(error: unknown): boolean {
  return failureOf(error).code === 'ERR_NOT_FOUND';
}

/** What a command does with a credential; with a token family of that name it does `other`. */
export async function orFamily(
  context: Context,
  name: string,
  work: () => Promise<number>,
  other: (client: ApiClient, family: FamilyView) => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!isUnknown(error)) throw error;
    const client = await context.client();
    const family = await familyOf(client, name);
    if (family === undefined) throw error;
    return other(client, family);
  }
}

/** A line for each family. */
export function tableOf(out: Output, families: readonly FamilyView[]): void {
  if (families.length === 0) return;
  const now = out.io.now();
  out.line('');
  out.table(
    ['TOKEN FAMILY', 'STATUS', 'REFRESHED', 'TOKEN UNTIL', 'CONSENT DUE', 'HOLDERS'],
    families.map((family) => [
      family.name,
      statusText(out, family),
      when(family.tokens?.refreshedAt),
      until(out, family.tokens?.expiresAt, now),
      day(family.tokens?.consentDueAt),
      String(family.holders.length),
    ]),
  );
  for (const { name, needs } of families)
    if (needs !== undefined) out.line(`${out.style('red', name)}: ${needs.text}; rekey connect ${name}`);
}

function statusText(out: Output, { status, paused, trouble }: FamilyView): string {
  if (status !== 'active') return out.style('red', status);
  if (trouble !== undefined) return out.style('yellow', `failing (${trouble.code})`);
  return paused === undefined ? status : out.style('yellow', 'paused');
}

function until(out: Output, expiresAt: string | undefined, now: number): string {
  if (expiresAt === undefined) return '–';
  const text = `${when(expiresAt)} (${distance(expiresAt, now)})`;
  return Date.parse(expiresAt) < now ? out.style('red', text) : text;
}

/** All of one family. */
export function renderFamily(out: Output, family: FamilyView): void {
  const { tokens, needs, trouble, paused, incident, attempt } = family;
  const now = out.io.now();
  out.line(out.style('bold', family.name));
  fields(out, [
    ['status', statusText(out, family)],
    ['consent', needs && `${needs.text}, since ${when(needs.since)}: rekey connect ${family.name}`],
    ['paused', paused && `since ${pausedBy(paused)}`],
    [
      'trouble',
      trouble &&
        `${trouble.code}, ${trouble.failures} times since ${when(trouble.since)}; again ${when(trouble.notBefore)}`,
    ],
    ['emergency', incident && `${incident.id}, since ${when(incident.since)}: ${incident.outcome}`],
    ['under way', attempt && `${attempt.kind}, since ${when(attempt.since)}`],
    ['owner', family.owner],
    ['server', family.server],
    ['client', `${family.client}, ${family.grant}`],
    ['scopes', family.scopes.join(' ') || undefined],
    ['secret', `${family.secret}: agents read access tokens from it`],
    ['holders', family.holders.map(({ name }) => name).join(', ') || undefined],
    ['consented', tokens && when(tokens.consentedAt)],
    [
      'token',
      tokens && `until ${until(out, tokens.expiresAt, now)}; while Rekey is down agents fail from then on`,
    ],
    ['refreshed', tokens && `${when(tokens.refreshedAt)}, next ${when(tokens.refreshAt)}`],
    ['fingerprint', tokens && shortPrint(tokens.fingerprint)],
    ['consent due', tokens?.consentDueAt && day(tokens.consentDueAt)],
    ['id', family.id],
  ]);
}

/** `rekey show FAMILY` */
export function showFamily({ out }: Context, family: FamilyView): number {
  out.data({ family });
  renderFamily(out, family);
  return EXIT.ok;
}

/** `rekey rotate FAMILY`: refreshes it now. */
export async function refreshFamily(
  { out }: Context,
  client: ApiClient,
  { name, tokens }: FamilyView,
  { reason, dryRun }: { readonly reason?: string; readonly dryRun: boolean },
): Promise<number> {
  if (dryRun) {
    out.data({ dryRun: true, family: name });
    out.line(`${name} would be refreshed; the access token in use lasts until ${when(tokens?.expiresAt)}.`);
    out.line('Nothing was changed.');
    return EXIT.ok;
  }
  const answer = await out.waiting(
    `refreshing ${name}`,
    client.post(familyAnswer, ['families', name, 'refreshes'], {
      body: reason === undefined ? {} : { reason },
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  );
  out.data(answer);
  out.line(`${out.style('green', 'refreshed')}: ${name}, until ${when(answer.family.tokens?.expiresAt)}`);
  return EXIT.ok;
}

/**
 * `rekey revoke FAMILY`: what it would do, and once it is confirmed or was told not to ask, does; all at once.
 * @throws Failures with those that failed, once the others are done
 */
export async function revokeFamilies(
  { out }: Context,
  client: ApiClient,
  families: readonly FamilyView[],
  options: {
    readonly incident: string;
    readonly reason: string;
    readonly yes: boolean;
    readonly dryRun: boolean;
  },
): Promise<number> {
  const names = families.map(({ name }) => name);
  if (options.dryRun || !options.yes) {
    foretellEnd(
      out,
      families.map(({ name, holders }) => ({ name, holders: holders.map((each) => each.name) })),
    );
  }
  if (options.dryRun) {
    out.data({ dryRun: true, incident: options.incident, families: names });
    out.line('Nothing was changed.');
    return EXIT.ok;
  }
  if (!options.yes) await confirm(out, `Revoke ${names.join(', ')} now?`, 'no family was revoked');
  const { incident, reason } = options;
  const work = names.map(async (name) => {
    try {
      const { family } = await client.post(familyAnswer, ['families', name, 'revocations'], {
        body: { incident, reason },
        timeoutMs: LONG_TIMEOUT_MS,
      });
      out.line(
        family.incident === undefined
          ? `nothing to revoke: ${name} has no tokens, and nothing was changed`
          : `${out.style('red', 'revoked')}: ${name} (${outcomeText(family)})`,
      );
      return family;
    } catch (error) {
      return failureAt(name, error);
    }
  });
  const done = await out.waiting(`revoking ${names.join(', ')}`, Promise.all(work));
  const ended = done.filter((one): one is FamilyView => !(one instanceof Failure));
  const failures = done.filter((one) => one instanceof Failure);
  out.data({ families: ended });
  const isOver = ({ incident: one }: FamilyView): boolean =>
    one === undefined || one.outcome === 'revoked' || one.outcome === 'none';
  const exit = ended.every(isOver) ? EXIT.ok : EXIT.unhappy;
  if (failures.length > 0) throw partly(failures, exit);
  return exit;
}

/** What the emergency of families does, and who is halted by it. */
export function foretellEnd(
  out: Output,
  families: readonly { readonly name: string; readonly holders: readonly string[] }[],
): void {
  out.line(
    'This ends these families: the server revokes all that descends from the consent, agents lose the access',
  );
  out.line('token and are halted. Only a new consent (rekey connect) brings one back.');
  for (const { name, holders } of families)
    out.line(`${out.style('bold', name)}  held by ${holders.join(', ') || 'no holder is known'}`);
}

function outcomeText({ incident }: FamilyView): string {
  const outcome = incident?.outcome;
  if (outcome === 'revoked') return 'the server has confirmed it';
  if (outcome === 'none') return 'it had no token yet, and gets none until somebody connects it';
  return outcome === 'unsupported'
    ? 'the server can not: revoke the grant there by hand'
    : 'not confirmed by the server yet; it is asked again every few minutes';
}

/** `rekey unregister FAMILY` */
export async function unregisterFamily(
  { out }: Context,
  client: ApiClient,
  { name, secret }: FamilyView,
  { reason, yes, dryRun }: { readonly reason: string; readonly yes: boolean; readonly dryRun: boolean },
): Promise<number> {
  const request = (dry: boolean) =>
    client.post(familyAnswer, ['families', name, 'unregister'], {
      body: { reason, dryRun: dry },
      timeoutMs: LONG_TIMEOUT_MS,
    });
  const would = await out.waiting('checking', request(true));
  if (dryRun || !yes) {
    out.line(`Rekey lets go of the token family ${out.style('bold', name)}:`);
    out.line('  - nobody refreshes it any more: agents fail once the access token has expired');
    out.line(`  - ${secret} and the secret with the refresh token stay as they are, without Rekey's tags`);
    out.line('  - nothing is revoked at the server: end the grant there once nobody uses it');
  }
  if (dryRun) {
    out.data({ ...would, dryRun });
    out.line('Nothing was changed.');
    return EXIT.ok;
  }
  if (!yes) await confirm(out, `Unregister ${name} now?`, 'nothing was changed');
  const answer = await out.waiting(`unregistering ${name}`, request(false));
  out.data(answer);
  out.line(`${out.style('green', 'unregistered')}: ${name} (${answer.family.id})`);
  return EXIT.ok;
}

async function confirm(out: Output, question: string, otherwise: string): Promise<void> {
  if (!out.io.stdinIsTty || out.json)
    throw usage('this needs confirmation, and nobody can be asked here', 'add --yes');
  const answer = await out.io.ask(`${question} Type yes: `);
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new Failure('ERR_CANCELLED', `cancelled; ${otherwise}`);
}

/** What the coordinator sees of a family. */
export function diagnosisOf(client: ApiClient, name: string): Promise<FamilyDiagnosis> {
  return client.get(familyDiagnosis, ['families', name, 'diagnosis'], { timeoutMs: LONG_TIMEOUT_MS });
}
