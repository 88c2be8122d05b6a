import { createHash, randomBytes } from 'node:crypto';
import { nameOf, type Mark } from '../http/mark.ts';

/**
 * What Rekey has noted beside a place at the upstream. Two, so that a revocation which comes late writes over nothing that tells
 * of a later key.
 */
export interface Notes {
  /** Whose a new value is, written before there is one. */
  readonly made?: string | undefined;
  /** Which value was to end. */
  readonly ended?: string | undefined;
}

/** A place for a key, as its upstream shows it. */
export interface Place {
  readonly name: string;
  readonly value: string;
  readonly notes: Notes;
}

/**
 * A note names the value that there is when it is written, before the key changes: by that whoever comes later sees whether the
 * change has happened.
 */
interface Note {
  /** Digest of the value. */
  readonly of: string;
  /** Of a key that was adopted: its label alone. */
  readonly mark: Mark;
}

/** A place, and what is in it. */
export interface Slot extends Place {
  /** Whose its value is, or was; absent where it is a stranger's. */
  readonly mark?: Mark;
  /** Whether somebody may use its value. */
  readonly live: boolean;
  /** Whether its value was to end. */
  readonly isEnding: boolean;
}

const NOTE =
  /^(?<of>[0-9a-f]{16})\.(?<label>[a-z0-9-]{1,24})\.(?<generation>\d{1,9})\.(?<token>[A-Za-z0-9-]{0,36})\.[0-9a-f]{8}$/;
const ID = /^(?<slot>[A-Za-z0-9]+)-(?<generation>\d{1,9})-(?<of>[0-9a-f]{16})$/;

/** What value and notes of a place say together. */
export function slotIn(place: Place): Slot {
  const [made, ended] = [noteIn(place.notes.made), noteIn(place.notes.ended)];
  const now = digestOf(place.value);
  // The end of an earlier key says nothing of a later one.
  const end = made === undefined || isSame(made.mark, ended?.mark) ? ended : undefined;
  const mark = (made ?? end)?.mark;
  const isEnding = end?.of === now;
  const live = end === undefined ? made?.of !== now : isEnding;
  return { ...place, ...(mark === undefined ? {} : { mark }), live, isEnding };
}

/** A note about a slot whose value is going to be another. No two are the same: whoever reads it again knows its own. */
export function noteOf({ value }: Slot, { label, generation, token }: Mark): string {
  return [digestOf(value), label, generation, token, randomBytes(4).toString('hex')].join('.');
}

/** The mark of a slot's key as a name; empty for a stranger's, or one that was adopted. */
export function nameIn({ mark }: Slot): string {
  return mark === undefined || mark.token === '' ? '' : nameOf(mark);
}

/**
 * The id of a slot's key. With its generation and a digest of its value, so that no other in the same slot is taken for it
 * (hard decision 2).
 */
export function idOf({ name, value, mark }: Slot, generation = mark?.generation ?? 0): string {
  return `${name}-${generation}-${digestOf(value)}`;
}

/** The name of the place of a key, by its id. */
export function placeIn(id: string): string {
  return ID.exec(id)?.groups?.['slot'] ?? '';
}

/** Whether a slot holds that very key. */
export function holds({ name, value }: Slot, id: string): boolean {
  const { slot, of } = ID.exec(id)?.groups ?? {};
  return slot === name && of === digestOf(value);
}

/** Whether a slot holds another value of the same generation or an earlier one: somebody regenerated it by hand. */
export function isSuccessor({ name, mark, live }: Slot, id: string, label: string): boolean {
  const { slot, generation } = ID.exec(id)?.groups ?? {};
  if (slot !== name || !live || mark?.label !== label) return false;
  return mark.token !== '' && mark.generation <= Number(generation);
}

function noteIn(text = ''): Note | undefined {
  const { of, label = '', generation, token = '' } = NOTE.exec(text)?.groups ?? {};
  return of === undefined ? undefined : { of, mark: { label, generation: Number(generation), token } };
}

function isSame(one: Mark, another: Mark | undefined): boolean {
  return one.label === another?.label && one.generation === another.generation && one.token === another.token;
}

function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 16);
}
