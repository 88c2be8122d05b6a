import * as z from 'zod';
import { RECORDS, recordKey, sha256, TAMPERING, UPSTREAM_USES, USES } from './archive-keys.ts';
import { checkStretch, GENESIS, isIntact, type AuditRecord, type ChainFault } from './audit.ts';
import { joinRuns, runsOf, type ChainRun } from './chain-runs.ts';
import type { Instant } from './clock.ts';

/**
 * Checks a copy of the archive by itself. Objects come in any order; kept of them is what grows with chains and with what is
 * wrong, never with records.
 */

/** An object of the copy: its key in the bucket, and what it holds. */
export interface CopiedObject {
  readonly key: string;
  readonly content: Uint8Array;
}

/** What is wrong with a copy. */
export interface CopyFault {
  readonly fault:
    | ChainFault['fault']
    /** The content isn't the one that the name was made of. */
    | 'content'
    /** It holds no record, report or finding. */
    | 'form'
    /** What it holds belongs under another name. */
    | 'place'
    /** The archiver writes no such object. */
    | 'foreign'
    /** The archiver has seen a record changed or removed in the ledger. */
    | 'tampering'
    /** The chain ended there once, and the record is not in the copy. */
    | 'lost'
    /** The chain had another record there once. */
    | 'rewritten'
    /** A delete marker hides the object. */
    | 'hidden'
    /** The object was written again over an earlier version. */
    | 'overwritten';
  readonly key?: string;
  readonly credentialId?: string;
  readonly seq?: number;
  /** Of a gap: its last number. */
  readonly to?: number;
  readonly detail?: string;
}

/** Where a chain ended, as somebody knows it from elsewhere. */
export interface KnownEnd {
  readonly credentialId: string;
  readonly seq: number;
  readonly hash: string;
}

/** A chain as the copy has it; `seq` and `hash` are those of its newest record. */
export interface CopiedChain extends KnownEnd {
  readonly name: string;
  readonly tenant: string;
  readonly account: string;
  readonly region: string;
  readonly records: number;
  /** Of the oldest record and of the newest. */
  readonly from: Instant;
  readonly to: Instant;
  /** What the newest record tells. */
  readonly action: string;
}

/** All that a copy says of itself. */
export interface CopyReport {
  readonly records: number;
  readonly uses: number;
  readonly days: readonly { readonly day: string; readonly records: number }[];
  readonly chains: readonly CopiedChain[];
  /** How many of the chains were held against an end that is known from elsewhere. */
  readonly held: number;
  readonly faults: readonly CopyFault[];
}

/** What a record must have to be placed in a chain; the rest of it is under its hash. */
const placed = z.looseObject({
  time_dt: z.iso.datetime(),
  message: z.string(),
  metadata: z.looseObject({ sequence: z.int().min(1), tenant_uid: z.string() }),
  cloud: z.looseObject({ account: z.looseObject({ uid: z.string() }), region: z.string() }),
  entity: z.looseObject({ uid: z.string().min(1), name: z.string() }),
  integrity: z.looseObject({ previous: z.string(), hash: z.string() }),
});

const use = z.looseObject({ credential_uid: z.string(), used_from: z.string() });
/** Who tells of a use, by the prefix that it is kept under. */
const TELLER: readonly (readonly [prefix: string, teller: z.ZodObject])[] = [
  [USES, z.looseObject({ agent: z.string() })],
  [UPSTREAM_USES, z.looseObject({ source: z.string() })],
];

const finding = z.looseObject({ key: z.unknown(), change: z.string() });

/** Keys that end in the hash of the content, after a number where it is a record. */
const KEY = /^(records\/.+\/\d{12}-|(?:upstream-)?uses\/.+\/|tampering\/)([0-9a-f]{64})\.json$/;

/** Whether the archiver writes objects of such a name. */
export function isArchiveKey(key: string): boolean {
  return KEY.test(key);
}

interface Chain {
  readonly runs: ChainRun[];
  records: number;
  from: Instant;
  newest: AuditRecord;
}

/** A copy that is being checked. */
export class ArchiveCopy {
  readonly #faults: CopyFault[] = [];
  readonly #chains = new Map<string, Chain>();
  readonly #days = new Map<string, number>();
  readonly #known: ReadonlyMap<string, readonly KnownEnd[]>;
  readonly #met = new Set<KnownEnd>();
  #uses = 0;

  /** `known` are ends of chains that the copy must have, whoever knows them. */
  constructor(known: readonly KnownEnd[] = []) {
    this.#known = Map.groupBy(known, ({ credentialId }) => credentialId);
  }

  /** Takes in what has been found wrong elsewhere. */
  blame(...faults: readonly CopyFault[]): void {
    this.#faults.push(...faults);
  }

  /** Checks some objects. Those of one chain that come together are cheapest. */
  add(objects: readonly CopiedObject[]): void {
    const records = objects.flatMap((object) => this.#recordIn(object) ?? []);
    for (const [id, own] of Map.groupBy(records, ({ entity }) => entity.uid)) this.#extend(id, own);
  }

  /** What there was, and all that is wrong. */
  report(): CopyReport {
    const chains = [...this.#chains].sort(([a], [b]) => (a < b ? -1 : 1));
    const inChains = chains.flatMap(([credentialId, { runs }]) =>
      joinRuns(runs, { seq: 1, hash: GENESIS }).faults.map((fault) => ({ credentialId, ...fault })),
    );
    const lost = [...this.#known.values()]
      .flat()
      .filter((end) => !this.#met.has(end))
      .map(({ credentialId, seq }) => ({ fault: 'lost' as const, credentialId, seq }));
    return {
      records: chains.reduce((sum, [, chain]) => sum + chain.records, 0),
      uses: this.#uses,
      days: [...this.#days].sort(([a], [b]) => (a < b ? -1 : 1)).map(([day, records]) => ({ day, records })),
      chains: chains.map(([id, chain]) => copiedChain(id, chain)),
      held: chains.filter(([id]) => this.#known.has(id)).length,
      faults: [...this.#faults, ...inChains, ...lost],
    };
  }

  /** The record that an object holds; undefined where it holds something else, or nothing of use. */
  #recordIn({ key, content }: CopiedObject): AuditRecord | undefined {
    const [, , named] = KEY.exec(key) ?? [];
    if (named === undefined) {
      this.blame({ fault: 'foreign', key });
      return undefined;
    }
    if (sha256(content).toString('hex') !== named) this.blame({ fault: 'content', key });
    const value = parsed(content);
    if (key.startsWith(RECORDS)) return this.#record(key, content, value);
    for (const [prefix, teller] of TELLER)
      if (key.startsWith(prefix)) this.#use(key, teller.safeParse(value).success ? value : undefined);
    if (key.startsWith(TAMPERING)) {
      const found = finding.safeParse(value);
      const detail = found.success
        ? { detail: `${found.data.change} of ${JSON.stringify(found.data.key)}` }
        : {};
      this.blame({ fault: 'tampering', key, ...detail });
    }
    return undefined;
  }

  #record(key: string, content: Uint8Array, value: unknown): AuditRecord | undefined {
    if (!placed.safeParse(value).success || !isHashable(value as AuditRecord)) {
      this.blame({ fault: 'form', key });
      return undefined;
    }
    // Only what has been looked at is used; versions to come may say more.
    const record = value as AuditRecord;
    if (placeOf(recordKey(record, content)) !== placeOf(key)) {
      this.blame({ fault: 'place', key, credentialId: record.entity.uid, seq: record.metadata.sequence });
    }
    return record;
  }

  #use(key: string, value: unknown): void {
    const { success, data } = use.safeParse(value);
    if (!success) this.blame({ fault: 'form', key });
    else if (!key.includes(`/dt=${data.used_from.slice(0, 10)}/${data.credential_uid}/`))
      this.blame({ fault: 'place', key, credentialId: data.credential_uid });
    else this.#uses += 1;
  }

  #extend(id: string, records: readonly AuditRecord[]): void {
    const sorted = [...records].sort((a, b) => a.metadata.sequence - b.metadata.sequence);
    const [first] = sorted;
    const last = sorted.at(-1);
    if (first === undefined || last === undefined) return;
    this.blame(...checkStretch(sorted));
    for (const record of sorted) this.#count(id, record);
    const chain = this.#chains.get(id) ?? { runs: [], records: 0, from: first.time_dt, newest: last };
    this.#chains.set(id, chain);
    chain.records += sorted.length;
    if (first.time_dt < chain.from) chain.from = first.time_dt;
    if (last.metadata.sequence > chain.newest.metadata.sequence) chain.newest = last;
    for (const run of runsOf(sorted)) append(chain.runs, run);
  }

  #count(id: string, { time_dt: time, metadata: { sequence: seq }, integrity: { hash } }: AuditRecord): void {
    const day = time.slice(0, 10);
    this.#days.set(day, (this.#days.get(day) ?? 0) + 1);
    for (const end of this.#known.get(id) ?? []) {
      if (end.seq !== seq) continue;
      this.#met.add(end);
      if (end.hash !== hash) this.blame({ fault: 'rewritten', credentialId: id, seq });
    }
  }
}

/** Joins a run to the last one where it follows; records come mostly in their order. */
function append(runs: ChainRun[], run: ChainRun): void {
  const before = runs.at(-1);
  if (before?.last === run.first - 1 && before.hash === run.previous) {
    runs.splice(-1, 1, { ...run, first: before.first, previous: before.previous });
  } else runs.push(run);
}

/** A key up to the hash, of which `content` tells. */
function placeOf(key: string): string {
  return key.slice(0, key.lastIndexOf('-'));
}

/** Whether its hash can be made: not of what is nested so deep that the stack ends. The hash itself is for `checkStretch`. */
function isHashable(record: AuditRecord): boolean {
  try {
    isIntact(record);
    return true;
  } catch {
    return false;
  }
}

function parsed(content: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  } catch {
    return undefined;
  }
}

function copiedChain(credentialId: string, { newest, records, from }: Chain): CopiedChain {
  const { metadata, cloud, entity, integrity, time_dt: to, message: action } = newest;
  return {
    credentialId,
    name: entity.name,
    tenant: metadata.tenant_uid,
    account: cloud.account.uid,
    region: cloud.region,
    records,
    from,
    to,
    action,
    seq: metadata.sequence,
    hash: integrity.hash,
  };
}
