import type { AuditRecord } from '../domain/audit.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { aliveKeys, bringsValue, type Witness } from '../domain/knowledge.ts';
import type { LedgerReads } from '../ports/ledger.ts';
import type { ReaderLog } from '../ports/reader-log.ts';
import { eachOf } from './each.ts';

/** Credentials that are looked at beside each other. */
const AT_ONCE = 25;
/** Rotations that are looked through for a key that was kept. */
const ROTATIONS_BACK = 20;

/** What tells who has seen a value. */
export interface KnowledgeDeps {
  readonly ledger: Pick<LedgerReads, 'rotation' | 'rotations' | 'records'>;
  readonly readers: Pick<ReaderLog, 'of'>;
}

/** What there is to tell who has seen the values of these credentials, in their order; `ever`: also values that are long dead. */
export function witnessesOf(
  deps: KnowledgeDeps,
  credentials: readonly Credential[],
  ever = false,
): Promise<Witness<Credential>[]> {
  return eachOf(credentials, AT_ONCE, (credential) => witnessOf(deps, credential, ever));
}

async function witnessOf(
  deps: KnowledgeDeps,
  credential: Credential,
  ever: boolean,
): Promise<Witness<Credential>> {
  const { id, secretName, activeRotation } = credential;
  const [readers, rotation] = await Promise.all([
    deps.readers.of(secretName),
    activeRotation === undefined ? undefined : deps.ledger.rotation(id, activeRotation),
  ]);
  const begun = { credential, rotation, former: [], readers, records: [] };
  const former = await formerKeys(deps, begun);
  return { ...begun, former, records: await broughtBy(deps, { ...begun, former }, ever) };
}

/** What works beside the present value and the rotation under way: what mode overlap has kept. */
async function formerKeys({ ledger }: KnowledgeDeps, witness: Witness<Credential>): Promise<Key[]> {
  const { id, live } = witness.credential;
  if (live.length <= aliveKeys(witness).length) return [];
  const past = await ledger.rotations(id, ROTATIONS_BACK);
  return past.flatMap(({ old, next }) => [old, next]).filter((key) => key !== undefined);
}

/** Only a value that no rotation has made may have come from outside: of all others no record is read. */
async function broughtBy(
  { ledger }: KnowledgeDeps,
  witness: Witness<Credential>,
  ever: boolean,
): Promise<AuditRecord[]> {
  const { id, adoption } = witness.credential;
  if (adoption === undefined) return [];
  const made = await Promise.all(aliveKeys(witness).map(({ versionId }) => ledger.rotation(id, versionId)));
  if (!ever && made.every((rotation) => rotation !== undefined)) return [];
  const records: AuditRecord[] = [];
  for await (const record of ledger.records(id)) if (bringsValue(record)) records.push(record);
  return records;
}
