import { createHash } from 'node:crypto';
import { nameOf, type Mark } from '../http/mark.ts';

/** A place for a key, as its upstream shows it. */
export interface Place {
  readonly name: string;
  readonly value: string;
  /** What Rekey has noted beside it at the upstream. */
  readonly note: string | undefined;
}

/**
 * What a slot's note says of it. It is written before the key changes, and names the value that there was then: by that
 * whoever comes later sees whether the change has happened.
 */
interface Note {
  /** `made`: another value than `of` is the mark's. `ended`: `of` is the mark's, any other value is nobody's. */
  readonly state: 'made' | 'ended';
  /** Digest of the value. */
  readonly of: string;
  /** Of a key that was adopted: its label alone. */
  readonly mark: Mark;
}

/** A place, and what is in it. */
export interface Slot {
  readonly name: string;
  readonly value: string;
  /** Whose it is, or was; absent where it is a stranger's. */
  readonly note?: Note;
  /** Whether somebody may use its value. */
  readonly live: boolean;
}

const NOTE =
  /^(?<state>made|ended)\.(?<of>[0-9a-f]{16})\.(?<label>[a-z0-9-]{1,24})\.(?<generation>\d{1,9})\.(?<token>[A-Za-z0-9-]{0,36})$/;
const ID = /^(?<slot>[A-Za-z0-9]+)-(?<generation>\d{1,9})-(?<of>[0-9a-f]{16})$/;

/** What value and note of a place say together. */
export function slotIn({ name, value, note: text = '' }: Place): Slot {
  const note = noteIn(text);
  if (note === undefined) return { name, value, live: true };
  return { name, value, note, live: (note.of === digestOf(value)) === (note.state === 'ended') };
}

/** The note about a slot whose value is going to be another. */
export function noteOf(
  { value }: Slot,
  { state, label, generation, token }: Mark & Pick<Note, 'state'>,
): string {
  return [state, digestOf(value), label, generation, token].join('.');
}

/** The mark of a slot's key as a name; empty for a stranger's, or one that was adopted. */
export function nameIn({ note }: Slot): string {
  return note === undefined || note.mark.token === '' ? '' : nameOf(note.mark);
}

/**
 * The id of a slot's key. With its generation and a digest of its value, so that no other in the same slot is taken for it
 * (hard decision 2).
 */
export function idOf({ name, value, note }: Slot, generation = note?.mark.generation ?? 0): string {
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
export function isSuccessor({ name, note, live }: Slot, id: string, label: string): boolean {
  const { slot, generation } = ID.exec(id)?.groups ?? {};
  if (slot !== name || !live || note?.mark.label !== label) return false;
  return note.mark.token !== '' && note.mark.generation <= Number(generation);
}

function noteIn(text: string): Note | undefined {
  const { state, of = '', label = '', generation, token = '' } = NOTE.exec(text)?.groups ?? {};
  if (state !== 'made' && state !== 'ended') return undefined;
  return { state, of, mark: { label, generation: Number(generation), token } };
}

function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 16);
}
