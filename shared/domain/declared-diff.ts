import type { Credential } from './credential.ts';
import { durationText } from './duration.ts';

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
  | 'root'
>;

/** The fields in which `after` differs from `before`, in the order of the declaration and as it writes them. */
export function diffDeclared(before: Declared | undefined, after: Declared): FieldChange[] {
  const from = before === undefined ? new Map<string, string>() : flatten(before);
  const to = flatten(after);
  const fields = new Set([...from.keys(), ...to.keys()]);
  return [...fields].flatMap((field) => {
    const change = { field, from: from.get(field) ?? null, to: to.get(field) ?? null };
    return change.from === change.to ? [] : [change];
  });
}

function flatten(declared: Declared): Map<string, string> {
  const fields = new Map<string, string>();
  const add = (path: string, value: unknown): void => {
    if (value === undefined) return;
    if (value !== null && typeof value === 'object') {
      for (const [key, inner] of Object.entries(value)) add(`${path}.${key}`, inner);
      return;
    }
    if (typeof value === 'number' && path.endsWith('Seconds')) {
      fields.set(path.slice(0, -'Seconds'.length), durationText(value));
      return;
    }
    fields.set(path, typeof value === 'string' ? value : JSON.stringify(value));
  };
  const { type, provider, secretName, adoption, adminSecret, target, mode, policy, holders, root } = declared;
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
  // By name, not by place: reordering holders is no change.
  for (const holder of holders) add(`holders.${holder.name}`, { ...holder, name: undefined });
  return fields;
}
