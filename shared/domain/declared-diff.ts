import type { Credential, Knower } from './credential.ts';
import { durationText } from './duration.ts';
import type { FamilyTerms } from './families.ts';
import type { Holder } from './holders.ts';

/** One field that a declaration changes; `from` is null for what is new. */
export interface FieldChange {
  readonly field: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What a declaration decides about a credential. */
export type Declared = Pick<
  Credential,
  | 'name'
  | 'type'
  | 'provider'
  | 'secretName'
  | 'adoption'
  | 'target'
  | 'adminSecret'
  | 'policy'
  | 'mode'
  | 'holders'
  | 'knownBy'
  | 'root'
>;

/** The fields in which `after` differs from `before`, in the order of the declaration and as it writes them. */
export function diffDeclared(before: Declared | undefined, after: Declared): FieldChange[] {
  return changesOf(before === undefined ? new Map() : flatten(before), flatten(after));
}

/** The same of a token family. */
export function diffFamily(before: FamilyTerms | undefined, after: FamilyTerms): FieldChange[] {
  return changesOf(before === undefined ? new Map() : flattenFamily(before), flattenFamily(after));
}

type Fields = ReadonlyMap<string, string>;

function changesOf(from: Fields, to: Fields): FieldChange[] {
  const fields = new Set([...from.keys(), ...to.keys()]);
  return [...fields].flatMap((field) => {
    const change = { field, from: from.get(field) ?? null, to: to.get(field) ?? null };
    return change.from === change.to ? [] : [change];
  });
}

function adder(fields: Map<string, string>): (path: string, value: unknown) => void {
  return function add(path, value) {
    if (value === undefined) return;
    if (value !== null && typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) add(`${path}.${key}`, inner);
      return;
    }
    // A declaration writes durations of its own as `5m`; a target's fields are its provider's, in seconds.
    if (typeof value === 'number' && path.endsWith('Seconds') && !path.startsWith('target.')) {
      fields.set(path.slice(0, -'Seconds'.length), durationText(value));
      return;
    }
    fields.set(path, typeof value === 'string' ? value : JSON.stringify(value));
  };
}

function flatten(declared: Declared): Map<string, string> {
  const fields = new Map<string, string>();
  const add = adder(fields);
  const { type, provider, secretName, adoption, adminSecret, target, mode, policy, holders, knownBy, root } =
    declared;
  add('type', type);
  add('provider', provider);
  add('secret', secretName);
  add('adopt', adoption === undefined ? undefined : true);
  add('admin', adminSecret);
  add('owner', root?.owner);
  add('scope', root?.scope);
  add('mode', mode);
  add('target', target);
  add('policy', policy);
  addHolders(add, holders);
  add('knownBy', knownBy === undefined ? undefined : namesOf(knownBy));
  return fields;
}

/** Which value they have seen is none of the declaration's. */
function namesOf(knownBy: readonly Knower[]): string {
  return knownBy
    .map(({ name }) => name)
    .toSorted()
    .join(', ');
}

function flattenFamily({
  holders,
  scopes,
  rotation,
  graceSeconds,
  ...terms
}: FamilyTerms): Map<string, string> {
  const fields = new Map<string, string>();
  const add = adder(fields);
  for (const [field, value] of Object.entries(terms)) add(field, value);
  add('scopes', scopes.join(' '));
  add('refresh', { rotation, graceSeconds });
  addHolders(add, holders);
  return fields;
}

/** By name, not by place: reordering holders is no change. */
function addHolders(add: (path: string, value: unknown) => void, holders: readonly Holder[]): void {
  for (const holder of holders) add(`holders.${holder.name}`, { ...holder, name: undefined });
}
