import { hasWorked } from '../upstream-use.ts';
import type { Ordinary, TracedUse } from './facts.ts';
import type { Exposure } from './exposure.ts';

/** `suspect` where something contradicts; `expected` where a declared workflow explains it; else `unexplained`. */
export type UseClass = 'expected' | 'unexplained' | 'suspect';

/** One aspect of a use, held against what is ordinary. `unknown` speaks neither for it nor against it. */
export interface Finding {
  readonly aspect: 'workflow' | 'address' | 'scope' | 'time' | 'count';
  readonly verdict: 'fits' | 'unknown' | 'contradicts';
  readonly text: string;
}

/** Whether a use lies in an exposure, by its own interval: `after` it has only begun once the value was dead. */
export type Place = 'within' | 'after' | 'before';

/** Where a use lies. One that reaches over the end is within: nobody can tell its parts apart. */
export function placeOf(use: Pick<TracedUse, 'from' | 'to'>, { from, to }: Exposure): Place {
  if (to !== undefined && use.from >= to) return 'after';
  // The end of a report is its last instant: one that ends as the exposure begins is within it.
  return from !== undefined && use.to < from ? 'before' : 'within';
}

/** Holds a use against what is ordinary; `count` is what its number comes to. Pure: the same facts give the same class. */
export function classify(
  use: TracedUse,
  place: Place,
  exposure: Exposure,
  ordinary: Ordinary,
  count?: Finding,
): { readonly class: UseClass; readonly findings: readonly Finding[] } {
  const address = addressOf(use, ordinary);
  const findings = [
    workflowOf(use, address),
    address,
    scopeOf(use, ordinary),
    timeOf(use, place, exposure, ordinary),
    ...(count === undefined ? [] : [count]),
  ];
  const has = (verdict: Finding['verdict'], aspect?: Finding['aspect']): boolean =>
    findings.some((each) => each.verdict === verdict && (aspect === undefined || each.aspect === aspect));
  if (has('contradicts')) return { class: 'suspect', findings };
  const isExplained = has('fits', 'workflow') || has('fits', 'count');
  return { class: isExplained ? 'expected' : 'unexplained', findings };
}

function workflowOf({ who, declaredAs, isForeign, isSelfNamed }: TracedUse, address: Finding): Finding {
  const about = { aspect: 'workflow' } as const;
  // The names of holders are no secret: whoever stole the value may say one.
  if (declaredAs !== undefined && isSelfNamed === true && address.verdict !== 'fits')
    return {
      ...about,
      verdict: 'unknown',
      text: `it calls itself ${who}, as the declared holder ${declaredAs}, and nothing else shows that`,
    };
  if (declaredAs !== undefined)
    return { ...about, verdict: 'fits', text: `${who} is the declared holder ${declaredAs}` };
  if (isForeign === true)
    return { ...about, verdict: 'contradicts', text: `${who} is another account's, and no declared holder` };
  return { ...about, verdict: 'unknown', text: `${who} is no declared holder` };
}

function addressOf({ who, address, isSelfNamed }: TracedUse, { addresses, logins = [] }: Ordinary): Finding {
  const about = { aspect: 'address' } as const;
  const known = addresses.get(who) ?? [];
  if (address === undefined) return { ...about, verdict: 'unknown', text: 'the source tells no address' };
  if (known.includes(address))
    return { ...about, verdict: 'fits', text: `${who} has come from ${address} before` };
  // A name that nobody knows is no excuse where anybody may choose it.
  if (isSelfNamed === true && known.length === 0 && logins.length > 0 && !logins.includes(address))
    return {
      ...about,
      verdict: 'contradicts',
      text: `from ${address}, where nobody was seen to log in before`,
    };
  return known.length === 0
    ? { ...about, verdict: 'unknown', text: `from ${address}; nothing tells where ${who} came from before` }
    : { ...about, verdict: 'contradicts', text: `from ${address}, where ${who} was never seen before` };
}

function scopeOf({ who, scope }: TracedUse, { scopes, touched }: Ordinary): Finding {
  const about = { aspect: 'scope' } as const;
  if (scope === undefined)
    return { ...about, verdict: 'unknown', text: 'the source tells nothing of what was touched' };
  if (scopes === undefined) return touchedBefore(who, scope, touched?.get(who) ?? []);
  return scopes.includes(scope)
    ? { ...about, verdict: 'fits', text: `touched ${scope}, which it may open` }
    : { ...about, verdict: 'contradicts', text: `touched ${scope}, which is outside of what it may open` };
}

function touchedBefore(who: string, scope: string, known: readonly string[]): Finding {
  const about = { aspect: 'scope' } as const;
  if (known.length === 0)
    return {
      ...about,
      verdict: 'unknown',
      text: `touched ${scope}; nothing tells what ${who} touched before`,
    };
  return known.includes(scope)
    ? { ...about, verdict: 'fits', text: `touched ${scope}, as ${who} has before` }
    : {
        ...about,
        verdict: 'contradicts',
        text: `touched ${scope}, which ${who} was never seen to touch before`,
      };
}

function timeOf(use: TracedUse, place: Place, { to }: Exposure, { haltedAt }: Ordinary): Finding {
  const about = { aspect: 'time' } as const;
  const { from } = use;
  const worked = hasWorked(use);
  if (place === 'after') {
    if (worked === undefined)
      return {
        ...about,
        verdict: 'unknown',
        text: `seen from ${from} on, once it was dead; nothing tells whether it still worked`,
      };
    return worked
      ? {
          ...about,
          verdict: 'contradicts',
          text: `it worked at ${from}, after its end was confirmed (${to ?? ''})`,
        }
      : { ...about, verdict: 'fits', text: 'refused, once it was dead' };
  }
  if (haltedAt !== undefined && from >= haltedAt && worked !== false)
    return { ...about, verdict: 'contradicts', text: `begun after agents were told to halt (${haltedAt})` };
  if (to !== undefined && use.to >= to)
    return {
      ...about,
      verdict: 'unknown',
      text: `reaches over the end of the exposure (${to}): what came before and what after can't be told apart`,
    };
  return { ...about, verdict: 'fits', text: 'while it was valid' };
}
