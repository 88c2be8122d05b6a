import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import type { KeyUpstream, UpstreamKey } from '../http/keys.ts';
import { markIn, type Mark } from '../http/mark.ts';
import type { KeyTarget } from '../http/target.ts';
import { holds, idOf, isSuccessor, nameIn, noteOf, slotIn, type Place, type Slot } from './slot.ts';

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
  /** Notes something beside a place. */
  note(api: Api, target: T, place: string, text: string): Promise<void>;
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

  async function regenerate(
    api: Api,
    target: T,
    slot: Slot,
    says: Parameters<typeof noteOf>[1],
  ): Promise<string> {
    await upstream.note(api, target, slot.name, noteOf(slot, says));
    const next = await upstream.regenerate(api, target, slot.name);
    if (next !== slot.value) return next;
    const problem = `${upstream.name} still shows ${slot.name} with the value that it replaces`;
    throw new RekeyError('ERR_UNAVAILABLE', problem, { remedy: 'it is tried again' });
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
      const slot = slots.find(({ note }) => note !== undefined) ?? slots[0];
      if (slot === undefined) throw noSlot(upstream.name, upstream.field, String(target[upstream.field]));
      const mark = markIn(name) as Mark;
      const value = await regenerate(api, target, slot, { state: 'made', ...mark });
      return { id: idOf({ ...slot, value }, mark.generation), value };
    },

    /** The answer to a regeneration was lost, and the upstream shows its value again. */
    async reveal(api, target, { id }) {
      const slot = (await slotsOf(api, target)).find((each) => holds(each, id));
      return slot?.note?.state === 'made' ? slot.value : undefined;
    },

    /** Nobody gets the new value. */
    async remove(api, target, id) {
      const { label } = target;
      const slots = await slotsOf(api, target);
      const slot = slots.find((each) => holds(each, id) || isSuccessor(each, id, label));
      if (slot === undefined) return;
      const mark = slot.note?.mark ?? { label, generation: 0, token: '' };
      await regenerate(api, target, slot, { state: 'ended', ...mark });
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
function isUsed({ name, note, live }: Slot, { label }: KeyTarget, current = ''): boolean {
  if (current.startsWith(`${name}-`)) return true;
  return note !== undefined && (live || note.mark.label !== label);
}

function noSlot(name: string, field: string, place: string): RekeyError {
  return new RekeyError('ERR_CAPACITY', `both keys of ${place} at ${name} are in use`, {
    field: `target.${field}`,
    remedy: `the former one has to be retired first: rekey show tells why it still lives; one ${field} serves one credential`,
  });
}
