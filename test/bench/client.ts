import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PEERS } from './client-caches.ts';
import type { Calls } from './client-calls.ts';
import type { Outage } from './client-outage.ts';
import { clientWindow } from './client-window.ts';
import { count, type Figure, type Figures } from './figures.ts';

const CALLERS = 1_000;
const SECRETS_OF_AN_AGENT = 20;
const PROCESS_LIMIT_MS = 60_000;
const run = promisify(execFile);
const NAMES = ['rekey', ...PEERS] as const;
type Name = (typeof NAMES)[number];

/** The client against the caches that agents use today, side by side in one run. */
export async function client(tell: (line: string) => void): Promise<Figures> {
  tell('gets from memory');
  return {
    ...(JSON.parse(await child(['client-speed.ts'])) as Figures),
    ...(await calls(tell)),
    ...(await outages(tell)),
    ...(await memory()),
    ...(await clientWindow(tell)),
  };
}

/** Calls of the vault by many callers at the same time, without a value and with one that has expired. */
async function calls(tell: (line: string) => void): Promise<Figures> {
  tell(`${CALLERS} callers at once, cold and at the expiry`);
  const seen = new Map<Name, Calls>();
  for (const name of NAMES) {
    seen.set(name, JSON.parse(await child(['client-calls.ts', name, String(CALLERS)])) as Calls);
  }
  const figure = (when: keyof Calls, bound: number): Figure =>
    count(seen.get('rekey')?.[when] ?? Number.NaN, `by ${CALLERS} callers`, {
      goal: { is: 'at most', bound },
      detail: PEERS.map((name) => `${name}: ${seen.get(name)?.[when] ?? '–'}`),
    });
  return {
    'client calls when cold': figure('cold', 1),
    'client calls at the expiry': figure('expired', 0),
  };
}

/** Gets while the vault is down, and while it hangs, with a value that has expired, until shortly before the limit. */
async function outages(tell: (line: string) => void): Promise<Figures> {
  tell('gets while the vault is down and while it hangs');
  const figures: Record<string, Figure> = {};
  for (const mode of ['down', 'hangs'] as const) {
    const seen = new Map<Name, Outage | 'ended'>();
    for (const name of NAMES) seen.set(name, await outage(name, mode));
    const ours = seen.get('rekey');
    const known = ours === undefined || ours === 'ended' ? undefined : ours;
    const failed = known === undefined ? Number.NaN : known.thrown + known.blocked;
    figures[`client gets lost, vault ${mode}`] = count(failed, `of ${known?.asked ?? 0} gets`, {
      goal: { is: 'at most', bound: 0 },
      detail: PEERS.map((name) => `${name}: ${words(seen.get(name))}`),
    });
    figures[`client p99, vault ${mode}`] = count(known?.p99Ms ?? Number.NaN, 'ms', {
      goal: { is: 'at most', bound: 1 },
    });
  }
  return figures;
}

async function outage(name: Name, mode: 'down' | 'hangs'): Promise<Outage | 'ended'> {
  try {
    return JSON.parse(await child(['client-outage.ts', name, mode])) as Outage;
  } catch {
    return 'ended';
  }
}

function words(seen: Outage | 'ended' | undefined): string {
  if (seen === undefined || seen === 'ended') return 'its process ended with an error';
  const { asked, thrown, blocked, p99Ms } = seen;
  return `${thrown} thrown, ${blocked} blocked of ${asked}, p99 ${p99Ms?.toFixed(2) ?? '–'} ms`;
}

/** Heap of each credential of an agent that has several, in a process of its own. */
async function memory(): Promise<Figures> {
  const bytes = async (size: number): Promise<number> =>
    Number(await child(['client-memory.ts', String(size)], ['--expose-gc']));
  const alone = await bytes(1);
  return {
    'client memory': count(await bytes(SECRETS_OF_AN_AGENT), 'bytes a credential, its value included', {
      goal: { is: 'at most', bound: 450 },
      detail: [`${SECRETS_OF_AN_AGENT} secrets an agent`, `one made alone: ${alone.toFixed(0)} bytes`],
    }),
  };
}

/** What a script of this folder prints in a process of its own. */
async function child(
  [script = '', ...args]: readonly string[],
  flags: readonly string[] = [],
): Promise<string> {
  const command = [...flags, join(import.meta.dirname, script), ...args];
  const { stdout } = await run(process.execPath, command, { timeout: PROCESS_LIMIT_MS });
  return stdout;
}
