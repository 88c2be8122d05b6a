import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import type { IncidentReport } from '../../shared/api/incident-report.ts';
import type {
  AuditAnswer,
  HeldSignalAnswer,
  HeldSignalsAnswer,
  ShowAnswer,
} from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { assumedRole, readRecord } from '../../test/support/cloudtrail.ts';
import { writeDeclaration } from '../demo/declaration.ts';
import { rekeyJson } from '../demo/rekey.ts';
import { responderEnv } from '../demo/responder.ts';
import type { World } from '../demo/world.ts';
import { deliver, type LocalSources } from '../signals.ts';
import { aboutCaps } from './caps.ts';
import type { Narrator } from './narrator.ts';
import type { Outcome } from './outcome.ts';
import { KIND, type Vendor } from './vendor.ts';

/** The keys that have leaked: one that agents of 340 customers share, and two that stood in the same file. */
export const KEYS = ['support', 'search', 'billing'] as const;
const [SHARED, ...OTHERS] = KEYS;
const CUSTOMERS = 340;
const REPOSITORY = 'acme/support-bot';
const STRANGER = 'ci-build';

interface Table {
  readonly world: World;
  readonly vendor: Vendor;
  readonly sources: LocalSources;
  readonly says: Narrator;
  /** Where reports are written. */
  readonly folder: string;
}

/** Plays the case from the leak to its report. */
export async function play(table: Table): Promise<Outcome> {
  const { world, vendor, sources, says } = table;
  await prepare(table);
  const agents = Array.from({ length: 8 }, () => vendor.agent(SHARED));
  const leaked = await Promise.all(KEYS.map((name) => vendor.keyIn(name)));
  const [ofShared = '', ...ofOthers] = leaked;
  await until('agents work', () => agents.every(({ done }) => done > 0));
  says.tell(
    `agents of ${CUSTOMERS} customers share the vendor key "${SHARED}"; 8 of them run here, and work`,
  );

  says.title('A developer pushes a file with three keys into a public repository');
  const thief = vendor.thief(ofShared);
  await until('the thief is in', () => thief.calls > 20);
  says.tell(`somebody has found "${SHARED}" and uses it: ${thief.calls} calls so far`);
  await says.ask('Who finds out, how soon, and what may they do without asking anybody?');

  says.title('GitHub tells Rekey');
  const toldAt = Date.now();
  const { status } = await deliver(world, 'github', sources.found(REPOSITORY, ofShared));
  says.tell(`the webhook of alert 1 is signed, so Rekey asks GitHub for the value: answered ${status}`);
  await until('the vendor refuses the leaked key', async () => !(await vendor.takes(ofShared)));
  const secondsToRevoke = Math.max(0, Math.round((thief.lastAt - toldAt) / 100) / 10);
  says.tell(
    `the vendor refuses the leaked key; it answered the thief ${secondsToRevoke} s after the webhook for the last time`,
  );
  const { signals: waiting } = await rekeyJson<HeldSignalsAnswer>(['incident', 'held'], world.env);
  const before = agents.map(({ done }) => done);
  await until('agents work on', () =>
    agents.every(({ done, key }, at) => key !== ofShared && done > (before[at] ?? 0) + 3),
  );
  const refused = agents.reduce((sum, each) => sum + each.refused, 0);
  says.tell(`every agent works with a new key; in between they were refused ${refused} times, all together`);
  for (const line of aboutCaps(CUSTOMERS, KIND)) says.tell(line);

  const heldUntilApproved = await holdAndApprove(table, ofOthers);
  const heldRevoked = await until('the other keys are dead', async () => allDead(vendor, ofOthers));
  says.tell(`"${OTHERS.join('" and "')}" are refused by the vendor as well`);

  const reports = await report(table);
  says.tell(
    `the vendor answered the thief ${thief.calls} times; only its own log tells with what: the reports say so`,
  );
  const { chain } = await rekeyJson<AuditAnswer>(['audit'], world.env);
  const credentials = reports.flatMap((each) => each.credentials);
  const pages = await Promise.all(
    reports.map(async ({ incident }) => readFile(join(table.folder, fileOf(incident)), 'utf8')),
  );
  return {
    secondsToRevoke,
    approvalsBefore: waiting.reduce((sum, { approvals }) => sum + approvals.length, 0),
    agentsRecovered: agents.every(({ key }) => key !== ofShared),
    heldUntilApproved,
    heldRevoked,
    reported: new Set(credentials.map(({ name }) => name)).size,
    closed: credentials.filter(
      ({ exposures }) =>
        exposures.length > 0 && exposures.every(({ from, to }) => from !== undefined && to !== undefined),
    ).length,
    strangers: credentials.flatMap(({ uses }) =>
      uses.filter(({ who }) => who.includes(STRANGER)).map(({ who }) => who),
    ),
    gaps: credentials.reduce((sum, { gaps }) => sum + gaps.length, 0),
    unreadable: pages.filter((page) => !page.startsWith('<!doctype html>')).length,
    chainFaults: chain.faults.length,
  };
}

async function prepare({ world, vendor, says }: Table): Promise<void> {
  const declared = KEYS.map((name) => vendor.keyOf(name, name === SHARED ? CUSTOMERS : 3));
  await rekeyJson(['apply', '-f', await writeDeclaration(world.dir, declared)], world.env);
  says.tell(`Rekey has made the vendor keys ${KEYS.join(', ')}`);
  // How it came to leak, as CloudTrail has it.
  const read = readRecord(`agents/${SHARED}`, assumedRole(STRANGER, STRANGER));
  await world.stack.gateway.cloudTrail({ ...read, eventTime: toInstant(Date.now()) });
  await until('the read is on record', async () => {
    const { readers = [] } = await rekeyJson<ShowAnswer>(['show', SHARED], world.env);
    return readers.length > 0;
  });
}

/** The rest of the file; whether those keys worked until the second person had approved. */
async function holdAndApprove(
  { world, vendor, sources, says }: Table,
  keys: readonly string[],
): Promise<boolean> {
  says.title('The same file has two more keys');
  for (const key of keys) await deliver(world, 'github', sources.found(REPOSITORY, key));
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => responderEnv(world, name)));
  const { signals } = await rekeyJson<HeldSignalsAnswer>(['incident', 'held'], alice ?? {});
  for (const { why, credentials } of signals) says.tell(`held: ${credentials.join(', ')}; ${why}`);
  says.tell(
    'one source may not stop everything in an hour, whoever has its secret: these wait for two people, and are paged',
  );
  await says.ask('Is it true? Who is the second responder, and what if nobody else answers?');
  let isHeld = signals.length === keys.length;
  for (const { id, credentials } of signals) {
    const args = ['incident', 'approve', id, '--reason', 'seen it in the repository'];
    const first = await rekeyJson<HeldSignalAnswer>(args, alice ?? {});
    isHeld &&= first.signal.status === 'held' && (await someAlive(vendor, keys));
    const second = await rekeyJson<HeldSignalAnswer>(args, bob ?? {});
    says.tell(
      `${credentials.join(', ')}: alice approves (${first.signal.status}), bob approves (${second.signal.status})`,
    );
  }
  return isHeld;
}

/** A page of each incident. */
const fileOf = (incident: string): string => `${incident}.html`;

/** A report of each incident, written and told. */
async function report({ world, says, folder }: Table): Promise<IncidentReport[]> {
  says.title('What was touched, and what is to be told to whom by when?');
  await says.ask('What could the key open, since when, and who has to hear of it?');
  await until('nobody is halted', async () => {
    const shown = await Promise.all(KEYS.map((name) => rekeyJson<ShowAnswer>(['show', name], world.env)));
    return shown.every(({ credential }) => credential.status === 'active');
  });
  const { incidents } = await rekeyJson<{ incidents: { incident: string }[] }>(
    ['incident', 'list'],
    world.env,
  );
  const reports: IncidentReport[] = [];
  for (const { incident } of incidents.toReversed()) {
    const made = await rekeyJson<IncidentReport>(['incident', 'report', incident], world.env);
    const file = join(folder, fileOf(incident));
    await rekeyJson(['incident', 'report', incident, '--format', 'html', '--output', file], world.env);
    reports.push(made);
    for (const { name, exposures, exposed, uses, gaps } of made.credentials) {
      const [exposure] = exposures;
      says.tell(
        `${incident}: ${name} was exposed from ${exposure?.from ?? 'unknown'} to ${exposure?.to ?? 'now'}`,
      );
      says.tell(`  it opens ${exposed.opens.map((each) => `${each.name} ${each.value}`).join(', ')}`);
      for (const use of uses) says.tell(`  ${use.class}: ${use.who} (${use.source})`);
      says.tell(`  not known: ${gaps.map(({ source }) => source).join(', ')}`);
    }
    const [clock] = made.clocks;
    if (clock !== undefined) says.tell(`  first deadline: ${clock.regime}, ${clock.duty}, ${clock.deadline}`);
    says.tell(`  written: ${file}`);
  }
  return reports;
}

async function allDead(vendor: Vendor, keys: readonly string[]): Promise<boolean> {
  const taken = await Promise.all(keys.map((key) => vendor.takes(key)));
  return !taken.includes(true);
}

async function someAlive(vendor: Vendor, keys: readonly string[]): Promise<boolean> {
  return !(await allDead(vendor, keys));
}

/** Waits for what should come within two minutes. @throws Error where it doesn't */
async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<true> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(50)) if (await isSo()) return true;
  throw new Error(`it never came to this: ${what}`);
}
