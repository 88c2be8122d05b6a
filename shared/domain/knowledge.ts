import type { AuditAction, AuditRecord } from './audit.ts';
import type { Instant } from './clock.ts';
import type { Credential, CredentialHandle, Key, Knower } from './credential.ts';
import { personIn } from './person.ts';
import type { SeenReader } from './readers.ts';
import { isOver, loserOf, type Rotation } from './rotation.ts';

/** As much of a credential as tells which values of it work. */
export type Valued = Pick<Credential, 'id' | 'name' | 'status' | 'current' | 'live' | 'knownBy'>;

/** What there is to tell who has seen the values of one credential. */
export interface Witness<C extends Valued = Valued> {
  readonly credential: C;
  /** The one under way. */
  readonly rotation?: Rotation | undefined;
  /** Keys of rotations that are over. */
  readonly former: readonly Key[];
  readonly readers: readonly SeenReader[];
  /** Records that say who has brought a value from outside. */
  readonly records: readonly AuditRecord[];
}

/** That somebody has seen values of a credential. */
export interface Sight {
  /** As `personIn` has it. */
  readonly person: string;
  readonly why: string;
  /** Versions of the secret that they have seen and that work yet; empty where all of them are dead. */
  readonly versions: readonly string[];
}

/** People of whom nobody knows which: a role whose sessions were not told apart. */
export interface Unnamed {
  readonly principal: string;
  readonly at: Instant;
}

/** How a person brings a value from outside, and how that is said. */
const BROUGHT: Partial<Record<AuditAction, string>> = {
  observed: 'imported it',
  adopted: 'imported it',
  'task-confirmed': 'replaced it by hand',
};

/** Whether a record says who has brought a value from outside. */
export function bringsValue({ message }: Pick<AuditRecord, 'message'>): boolean {
  return BROUGHT[message] !== undefined;
}

/** The values of a credential that work, the present one first; each version once. */
export function aliveKeys({
  credential: { current, live, status },
  rotation,
  former,
}: Pick<Witness, 'credential' | 'rotation' | 'former'>): Key[] {
  const known = [current, rotation?.old, rotation?.next, ...former].filter((key) => key !== undefined);
  // What is only observed has no handle of Rekey's, and works; what an emergency has ended does not.
  const works = (key: Key): boolean =>
    (key === current && status !== 'halted') || live.some((handle) => isSame(handle, key.handle));
  return [...new Map(known.filter(works).map((key) => [key.versionId, key])).values()];
}

/** Everybody who is known to have seen a value of a credential, whether it works yet or not. Pure. */
export function sightsOf(witness: Witness): Sight[] {
  return [...declared(witness), ...read(witness), ...brought(witness)];
}

/** People who have read a value that works, without a name that tells who. */
export function unnamedReaders(witness: Witness): Unnamed[] {
  return witness.readers
    .filter((reader) => reader.kind === 'person' && readerName(reader) === undefined)
    .filter((reader) => versionsRead(witness, reader).length > 0)
    .map(({ principal, lastSeen }) => ({ principal, at: lastSeen }));
}

/**
 * Who has seen which value, once a declaration says these names: whoever stood there before has seen the value of then, whoever is
 * new the present one.
 */
export function redeclared(
  names: readonly Knower[] | undefined,
  before: readonly Knower[] | undefined,
  current: Key | undefined,
): readonly Knower[] | undefined {
  const present = current === undefined ? {} : { version: current.versionId };
  return names?.map(({ name }) => {
    const known = before?.find((each) => personIn(each.name) === personIn(name));
    return { ...present, ...known, name };
  });
}

function declared({ credential, ...more }: Witness): Sight[] {
  const alive = new Set(aliveKeys({ credential, ...more }).map(({ versionId }) => versionId));
  return (credential.knownBy ?? []).map(({ name, version }) => ({
    person: personIn(name),
    why: `${name} is declared to know it`,
    versions: version !== undefined && alive.has(version) ? [version] : [],
  }));
}

function read(witness: Witness): Sight[] {
  return witness.readers.flatMap((reader) => {
    const name = readerName(reader);
    if (name === undefined) return [];
    const { principal, lastSeen, version } = reader;
    const which = version === undefined ? 'it' : `its version ${version}`;
    const why = `${name} read ${which} at ${lastSeen}, as ${principal}`;
    return [{ person: personIn(name), why, versions: versionsRead(witness, reader) }];
  });
}

function brought(witness: Witness): Sight[] {
  const alive = aliveKeys(witness);
  return witness.records.flatMap(({ message, actor, entity, time_dt: at }) => {
    const did = BROUGHT[message];
    if (did === undefined) return [];
    const { new_fingerprint: fingerprint } = entity.data;
    return [
      {
        person: personIn(actor.user.uid),
        why: `${personIn(actor.user.uid)} ${did} at ${at}`,
        versions: alive.filter((key) => key.fingerprint === fingerprint).map(({ versionId }) => versionId),
      },
    ];
  });
}

/** Who reads, where it is one person: a user, or the session of a person. */
function readerName({ kind, principal, name }: SeenReader): string | undefined {
  if (kind === 'user') return principal.slice(principal.lastIndexOf('/') + 1);
  if (kind !== 'person') return undefined;
  return principal.includes(':user/') ? principal.slice(principal.lastIndexOf('/') + 1) : name;
}

/** The values that work and that a reader may have seen, by when it read and what it asked for. */
function versionsRead(witness: Witness, { firstSeen, lastSeen, version }: SeenReader): string[] {
  const { credential, rotation } = witness;
  return aliveKeys(witness)
    .filter(({ versionId, issuedAt }) => {
      const isCurrent = versionId === credential.current?.versionId;
      if (lastSeen < issuedAt) return false;
      if (version === 'AWSPREVIOUS') return !isCurrent;
      if (version !== undefined && version !== 'AWSPENDING') return version === versionId;
      // Of what is current no more: it read before that.
      return isCurrent || version !== undefined || firstSeen <= (rotation?.window?.opensAt ?? lastSeen);
    })
    .map(({ versionId }) => versionId);
}

/** The version that a rotation under way ends, once it is over; undefined where it ends none. */
export function endedBy(rotation: Rotation | undefined): string | undefined {
  if (rotation === undefined || isOver(rotation.phase)) return undefined;
  return loserOf(rotation)?.versionId;
}

function isSame(one: CredentialHandle, other: CredentialHandle): boolean {
  return one.id === other.id && one.generation === other.generation;
}
