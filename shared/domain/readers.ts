import { plusSeconds, type Instant } from './clock.ts';
import type { Client } from './evidence.ts';
import type { Holder } from './holders.ts';
import { isOver, loserOf, type Rotation } from './rotation.ts';
import { addressesOf, whereabouts, type Whereabouts } from './seen-addresses.ts';

/** Who reads a secret, or is logged in with what is in it, as far as AWS or the source vouches for it. */
export interface Reader {
  readonly kind: ReaderKind;
  /** ARN of a role or user; `arn:…:iam::ACCOUNT:root` for all of another account; an AWS service; a user at the source. */
  readonly principal: string;
  /** Name of the Lambda function, of a person's session, or what a session at the source calls itself. */
  readonly name?: string;
  /** Which version it asked for, where that isn't the current one. */
  readonly version?: string;
}

/**
 * What reads: a Lambda function, code in an ECS task, ECS itself for a task that it starts, an EC2 instance, an IAM user,
 * anything else under a role, a person, an AWS service in its own name, another account; or a session at the source.
 */
export type ReaderKind =
  'lambda' | 'ecs' | 'ecs-start' | 'ec2' | 'user' | 'role' | 'person' | 'service' | 'account' | 'session';

/** A reader with when it was seen first and last, and of a session at the source where: that is no part of who it is. */
export interface SeenReader extends Reader, Whereabouts {
  readonly firstSeen: Instant;
  readonly lastSeen: Instant;
}

/** How long a reader is kept after it was last seen. */
export const READER_KEPT_SECONDS = 90 * 86_400;

/** How old `lastSeen` may grow before it is written again, where a fleet reads in the ordinary way: it must cost little. */
export const FRESH_SECONDS = 3600;

/** The same text for the same reader, and for no other. */
export function identityOf({ kind, principal, name, version }: Reader): string {
  return JSON.stringify([kind, principal, name ?? null, version ?? null]);
}

/** What is kept of a reader once it was seen again; undefined where what is known is fresh enough. */
export function seenAgain(known: SeenReader | undefined, seen: SeenReader): SeenReader | undefined {
  if (known === undefined) return seen;
  const rare = ['session', 'person', 'user'].includes(seen.kind) || seen.version !== undefined;
  const from = new Set(addressesOf(known, known.lastSeen).map(({ address }) => address));
  const isElsewhere = addressesOf(seen, seen.lastSeen).some(({ address }) => !from.has(address));
  if (!isElsewhere && seen.lastSeen <= plusSeconds(known.lastSeen, rare ? 0 : FRESH_SECONDS))
    return undefined;
  return joined(known, seen);
}

/** Several sightings of the same reader as one. */
export function joined(one: SeenReader, other: SeenReader): SeenReader {
  const [earlier, later] = one.lastSeen <= other.lastSeen ? [one, other] : [other, one];
  const both = [one, other];
  return {
    ...later,
    firstSeen: earlier.firstSeen < later.firstSeen ? earlier.firstSeen : later.firstSeen,
    ...whereabouts(
      both.flatMap((each) => addressesOf(each, each.lastSeen)),
      both.some(({ addressesLost }) => addressesLost === true),
    ),
  };
}

/** Sessions at the source as readers. */
export function sessionsSeen(clients: readonly Client[], at: Instant): SeenReader[] {
  const seen = clients.map(({ user, application, addresses = [] }): SeenReader => ({
    kind: 'session',
    principal: user,
    ...(application === undefined ? {} : { name: harmless(application) }),
    ...whereabouts(
      addresses.map((address) => ({ address, firstSeen: at, lastSeen: at })),
      false,
    ),
    firstSeen: at,
    lastSeen: at,
  }));
  // Names that differ may be the same once they are harmless.
  return [...Map.groupBy(seen, identityOf).values()].map((same) => same.reduce(joined));
}

/** A name that somebody else has chosen, in one line of what every terminal shows as it is. */
export function harmless(text: string, length = 64): string {
  return text.replace(/[^\u0020-\u007E]/g, '?').slice(0, length);
}

/** An entry for `holders` of a declaration. What only its owner knows stands in `<…>`, which no declaration accepts. */
export type ProposedHolder = Readonly<Record<string, string>>;

/** A reader held against what is declared. */
export interface Sighting {
  readonly reader: SeenReader;
  /** Name of the holder that it is. */
  readonly declaredAs?: string;
  /** What to declare, where it is none and could be one. */
  readonly proposal?: ProposedHolder;
  /** It used, since the window opened, what the rotation ends. */
  readonly onLoser?: true;
}

/**
 * Holds readers against declared holders, the latest first. They inform: nobody retires, waits or is refused on them,
 * since reads by others can't be forced to show (docs/holders.md).
 */
export function sightings(
  readers: readonly SeenReader[],
  holders: readonly Holder[],
  rotation?: Rotation,
): Sighting[] {
  const names = new Set(holders.map(({ name }) => name));
  return readers
    .toSorted((a, b) => (a.lastSeen < b.lastSeen ? 1 : -1))
    .map((reader) => {
      const declared = holderOf(reader, holders);
      const proposal = declared === undefined ? proposalOf(reader, names) : undefined;
      return {
        reader,
        ...(declared === undefined ? {} : { declaredAs: declared.name }),
        ...(proposal === undefined ? {} : { proposal }),
        ...(rotation !== undefined && usedLoser(reader, rotation) ? { onLoser: true as const } : {}),
      };
    });
}

/** A proposal as a line below `holders`. */
export function proposalText(proposal: ProposedHolder): string {
  const plain = /^(?:(?!(?:true|false|null)$)[A-Za-z][\w-]*|<\w+>)$/;
  const fields = Object.entries(proposal).map(([name, value]) => {
    const text = harmless(value, 2048);
    return `${name}: ${plain.test(text) ? text : JSON.stringify(text)}`;
  });
  return `- { ${fields.join(', ')} }`;
}

/** Whether nothing in a proposal is left to be filled in. */
export function isComplete(proposal: ProposedHolder): boolean {
  return !Object.values(proposal).some((value) => value.startsWith('<'));
}

/** The declared holder that a reader is; undefined where it is none. */
export function holderOf(reader: Reader, holders: readonly Holder[]): Holder | undefined {
  return holders.find((holder) => isHolder(reader, holder));
}

function isHolder(reader: Reader, holder: Holder): boolean {
  const { principal } = holder;
  if (reader.kind === 'session') return holder.name === reader.name;
  if (reader.kind === 'account') return principal?.split(':')[4] === reader.principal.split(':')[4];
  if (principal !== undefined && principal === reader.principal) return true;
  return (
    reader.kind === 'lambda' && holder.kind === 'lambda' && holder.function.split(':')[0] === reader.name
  );
}

/** A person, or a service in its own name, keeps no value that a rotation would have to wait for. */
function proposalOf(reader: Reader, names: Set<string>): ProposedHolder | undefined {
  const { kind, principal, name } = reader;
  if (kind === 'person' || kind === 'service' || (kind === 'session' && name === undefined)) return undefined;
  const account = principal.split(':')[4] ?? '';
  const called = unused(
    kind === 'account' ? `account-${account}` : (name ?? principal.split('/').at(-1) ?? ''),
    names,
  );
  const who = kind === 'account' || kind === 'session' ? {} : { principal };
  if (kind === 'lambda') return { kind: 'lambda', name: called, function: name ?? '<function>', ...who };
  if (kind === 'ecs-start')
    return { kind: 'ecs-restart', name: called, cluster: '<cluster>', service: '<service>', ...who };
  return { kind: 'polling', name: called, ttl: '<ttl>', ...who };
}

/** `name`, with a number where it is taken; taken from then on. */
function unused(name: string, names: Set<string>): string {
  let free = name;
  for (let number = 2; names.has(free); number++) free = `${name}-${number}`;
  names.add(free);
  return free;
}

/** AWSPREVIOUS is the loser in both directions: what was current until the label moved. */
function usedLoser({ kind, principal, version, lastSeen }: SeenReader, rotation: Rotation): boolean {
  const loser = loserOf(rotation);
  const { window, phase } = rotation;
  if (loser === undefined || window === undefined || isOver(phase) || lastSeen < window.opensAt) return false;
  return kind === 'session'
    ? principal === loser.handle.id
    : version === 'AWSPREVIOUS' || version === loser.versionId;
}
