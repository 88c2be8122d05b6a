import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import type { KeyUpstream, UpstreamKey } from '../http/keys.ts';
import { markIn, type Mark } from '../http/mark.ts';
import type { KeyTarget } from '../http/target.ts';
import {
  holds,
  idOf,
  isSuccessor,
  nameIn,
  noteOf,
  slotIn,
  type Notes,
  type Place,
  type Slot,
} from './slot.ts';

/** A field of a target: both keys are Rekey's, which regenerates also one that it hasn't made. */
export const exclusive = z.literal(
  true,
  'must be true: both keys of the account get other values, whoever uses them',
);

/** What an upstream has of its own that has two places for keys without names. */
export interface SlotUpstream<T> {
  readonly name: string;
  /** The field of the target that names what has the places. */
  readonly field: keyof T & string;
  /** Both, and first the one that is taken first: people use the other. */
  read(api: Api, target: T): Promise<readonly Place[]>;
  /** Notes something beside a place, in one step; a note that isn't named stays as it is. */
  note(api: Api, target: T, place: string, notes: Notes): Promise<void>;
  /** Gives a place another value, which kills the former at once. Answers with the value that it has then. */
  regenerate(api: Api, target: T, place: string): Promise<string>;
}

/**
 * Keys that have no names and can only be regenerated: the two places take turns, and notes beside them (tags, say) tell what
 * each holds, so that each value is a key of its own for generation and revocation (hard decision 2).
 */
export function slotKeys<T extends KeyTarget>(upstream: SlotUpstream<T>) {
  const slotsOf = async (api: Api, target: T): Promise<Slot[]> =>
    (await upstream.read(api, target)).map(slotIn);

  /**
   * Gives a slot another value. Upstreams have no conditional write: what was read is read again once the note is there, and
   * whoever doesn't find its own note beside the same value leaves the slot to whoever was faster.
   */
  async function regenerate(
    api: Api,
    target: T,
    slot: Slot,
    [kind, mark]: readonly ['made' | 'ended', Mark],
  ): Promise<string> {
    const note = noteOf(slot, mark);
    // An end that was noted before is not this key's.
    await upstream.note(
      api,
      target,
      slot.name,
      kind === 'made' ? { made: note, ended: '' } : { ended: note },
    );
    const seen = (await upstream.read(api, target)).find(({ name }) => name === slot.name);
    if (seen?.value !== slot.value || seen.notes[kind] !== note) {
      throw again(`${slot.name} at ${upstream.name} is changed by somebody else at the same time`);
    }
    const next = await upstream.regenerate(api, target, slot.name);
    if (next !== slot.value) return next;
    throw again(`${upstream.name} still shows ${slot.name} with the value that it replaces`);
  }

  return {
    /** What is nobody's isn't shown: its value was thrown away. */
    async list(api, target) {
      return (await slotsOf(api, target)).filter(({ live }) => live).map(shown);
    },

    async find(api, target, id) {
      const slot = (await slotsOf(api, target)).find((each) => holds(each, id));
      return slot === undefined ? undefined : { id, name: nameIn(slot), active: true };
    },

    async create(api, target, name, _admin, { current }) {
      const slots = (await slotsOf(api, target)).filter((slot) => !isUsed(slot, target, current));
      const slot = slots.find((each) => each.mark !== undefined) ?? slots[0];
      if (slot === undefined) throw noSlot(upstream.name, upstream.field, String(target[upstream.field]));
      const mark = markIn(name) as Mark;
      const value = await regenerate(api, target, slot, ['made', mark]);
      return { id: idOf({ ...slot, value }, mark.generation), value };
    },

    /** The answer to a regeneration was lost, and the upstream shows its value again. */
    async reveal(api, target, { id }) {
      const slot = (await slotsOf(api, target)).find((each) => holds(each, id));
      return slot?.mark === undefined || slot.isEnding ? undefined : slot.value;
    },

    /** Nobody gets the new value. */
    async remove(api, target, id) {
      const { label } = target;
      const slots = await slotsOf(api, target);
      const slot = slots.find((each) => holds(each, id) || isSuccessor(each, id, label));
      if (slot === undefined) return;
      await regenerate(api, target, slot, ['ended', slot.mark ?? { label, generation: 0, token: '' }]);
    },

    adoption: {},
  } satisfies Partial<KeyUpstream<T, unknown>>;
}

function shown(slot: Slot): UpstreamKey {
  const { value } = slot;
  const hint = `${value.slice(0, 8)}...${value.slice(-4)}`;
  return { id: idOf(slot), name: nameIn(slot), active: true, hint };
}

/** A stranger's key may be taken, since both are Rekey's; never one of another credential, or that agents use. */
function isUsed({ name, mark, live }: Slot, { label }: KeyTarget, current = ''): boolean {
  if (current.startsWith(`${name}-`)) return true;
  return mark !== undefined && (live || mark.label !== label);
}

function again(problem: string): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', problem, { remedy: 'it is tried again' });
}

function noSlot(name: string, field: string, place: string): RekeyError {
  return new RekeyError('ERR_CAPACITY', `both keys of ${place} at ${name} are in use`, {
    field: `target.${field}`,
    remedy: `the former one has to be retired first: rekey show tells why it still lives; one ${field} serves one credential`,
  });
}
