import { RekeyError } from '../../shared/domain/errors.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import { ENV } from '../../shared/names.ts';
import { byTypeSetting } from '../compose.ts';
import { find, findEver } from './lookup.ts';

/** ARNs of the functions that work for one credential type. */
export interface TypedFunctions {
  /** Of the function that registers credentials of a type. @throws RekeyError ERR_DECLARATION for type */
  registrarFor(type: string): string;
  /** The same for a credential, by name or id. */
  registrarOf(nameOrId: string): Promise<string>;
  /** Of the function that looks at a credential's upstream; also of one that was unregistered. */
  verifierOf(nameOrId: string): Promise<string>;
}

/** Which of the deployment's functions does what for a credential. */
export function typedFunctions(ledger: Ledger): TypedFunctions {
  const registrars = byTypeSetting(ENV.registrars);
  const verifiers = byTypeSetting(ENV.verifiers);
  const registrarFor = (type: string): string => arnFor(registrars, type);
  return {
    registrarFor,
    // What nobody knows is refused by any of them, in its own words.
    registrarOf: async (nameOrId) =>
      registrarFor((await find(ledger, nameOrId))?.type ?? firstOf(registrars)),
    verifierOf: async (nameOrId) =>
      arnFor(verifiers, (await findEver(ledger, nameOrId))?.type ?? firstOf(verifiers)),
  };
}

function arnFor(arns: ReadonlyMap<string, string>, type: string): string {
  const arn = arns.get(type);
  if (arn !== undefined) return arn;
  throw new RekeyError('ERR_DECLARATION', `this deployment has no functions for the type "${type}"`, {
    field: 'type',
    remedy: `use one of: ${[...arns.keys()].join(', ')}; or add the type to the setting types, and deploy`,
  });
}

function firstOf(arns: ReadonlyMap<string, string>): string {
  return arns.keys().next().value ?? '';
}
