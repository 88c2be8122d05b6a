import { RekeyError } from '../../shared/domain/errors.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { aliveKeys, type Witness } from '../../shared/domain/knowledge.ts';
import { arranged, selectedBy, type Selection } from '../../shared/domain/selection.ts';
import { witnessesOf } from '../../shared/engine/knowledge.ts';
import type { Affected } from '../../shared/engine/staged.ts';
import { answered, leaverOf, readEverything, type Sources } from './selection.ts';

/** An order reads of each what its rotation has come to, each time that it goes on. */
const MAX_STAGED = 1000;

/** A credential that is to be rotated, with why. */
export interface AffectedBy extends Affected {
  readonly why: readonly string[];
}

/** What a staged order comes to. */
export interface StagedSelection {
  /** Administrative credentials before what they administer, then the most dangerous first. */
  readonly affected: readonly AffectedBy[];
  readonly families: readonly { readonly name: string; readonly why: string }[];
  readonly unknown: readonly string[];
}

/**
 * What is to be rotated so that nobody of a selection has a value that works: of an agent that is out of service only what it may
 * have from before, so that the same order ends.
 * @throws RekeyError ERR_NOT_FOUND for a person of whom nothing is known, ERR_REQUEST, ERR_UNAVAILABLE
 */
export async function selectForRotation(sources: Sources, selection: Selection): Promise<StagedSelection> {
  const selected = await answered(select(sources, selection));
  assertOneOrder(selected.affected.length);
  return selected;
}

/** @throws RekeyError ERR_REQUEST where there are more than one order takes */
function assertOneOrder(count: number): void {
  if (count <= MAX_STAGED) return;
  throw new RekeyError('ERR_REQUEST', `${count} credentials belong to it, and one order takes 1,000`, {
    field: 'select',
    remedy: 'select by provider or by fleet, in several orders; they may share the incident',
  });
}

async function select(sources: Sources, selection: Selection): Promise<StagedSelection> {
  const everything = await readEverything(sources);
  if ('knownBy' in selection) {
    const { credentials, families, unknown } = await leaverOf(sources, selection.knownBy, everything);
    const byId = new Map(credentials.map((each) => [each.witness.credential.id, each]));
    const chosen = credentials.map(({ witness: { credential }, why }) => ({ credential, why }));
    const { later, chosen: others } = arranged({ chosen, families: [], unknown: [] });
    const affected = [...later, ...others].flatMap(({ credential, why }) => {
      const known = byId.get(credential.id);
      return known === undefined ? [] : [affectedBy(known.witness, why, known.versions)];
    });
    return { affected, families, unknown };
  }
  const { chosen, later, families, unknown } = selectedBy(selection, everything);
  const all = [...later, ...chosen];
  const witnesses = await witnessesOf(
    sources,
    all.map(({ credential }) => credential),
  );
  const until = 'agent' in selection ? outOfService(everything.pacts, selection.agent) : undefined;
  const affected = witnesses.flatMap((witness, at) => {
    const versions = aliveKeys(witness)
      .filter(({ issuedAt }) => until === undefined || issuedAt <= until)
      .map(({ versionId }) => versionId);
    return versions.length === 0 ? [] : [affectedBy(witness, all[at]?.why ?? [], versions)];
  });
  const why = 'it is part of this selection';
  return { affected, families: families.map((name) => ({ name, why })), unknown };
}

function affectedBy(
  { credential, rotation }: Witness<Credential>,
  why: readonly string[],
  versions: readonly string[],
): AffectedBy {
  return { credential, rotation, why, versions };
}

function outOfService(
  pacts: Awaited<ReturnType<typeof readEverything>>['pacts'],
  agent: string,
): string | undefined {
  return pacts.find((pact) => pact.agent === agent)?.decommissioned?.at;
}
