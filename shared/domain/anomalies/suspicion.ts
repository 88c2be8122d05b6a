import type { Instant } from '../clock.ts';
import type { Holder } from '../holders.ts';
import { clientOf } from '../pact.ts';
import { harmless, holderOf, type Reader } from '../readers.ts';
import { digestOf } from '../signals/signal.ts';
import type { Finding } from './judge.ts';

/** Something unusual about a credential that nobody has been told of yet. */
export interface Suspicion extends Finding {
  /** The same finding of the same reader has the same id: it is told once a week (`TOLD_SECONDS`). */
  readonly id: string;
  /** Name of the secret that was read. */
  readonly secret: string;
  readonly reader: Suspect;
  readonly at: Instant;
}

/**
 * Who has done it: who reads a secret; an agent, which reports of itself; or a workflow as an upstream tells of it. The `principal`
 * of an agent is its name, that of a workflow what the upstream calls it, and its `name` that of the source.
 */
export interface Suspect extends Pick<Reader, 'principal' | 'name'> {
  readonly kind: Reader['kind'] | 'agent' | 'workflow';
}

/** So long the same finding isn't told again: what goes on is known by then, and is never learnt. */
export const TOLD_SECONDS = 7 * 86_400;

/** A finding as it waits to be weighed. */
export function suspicionOf(
  secret: string,
  { kind, principal, name }: Suspect,
  at: Instant,
  finding: Finding,
): Suspicion {
  return {
    ...finding,
    id: digestOf(secret, principal, name ?? '', finding.rule, finding.what).slice(0, 32),
    secret,
    reader: { kind, principal, ...(name === undefined ? {} : { name }) },
    at,
  };
}

/** One reason of an anomaly, as the audit trail keeps it. */
export interface Reason {
  readonly rule: Finding['rule'] | 'undeclared';
  readonly who: string;
  readonly text: string;
  readonly at: Instant;
}

/** What is unusual about a credential, with how much it weighs. */
export interface Anomaly {
  readonly severity: 'low' | 'medium' | 'high';
  readonly reasons: readonly Reason[];
  /** Reasons beyond those that are listed. */
  readonly more?: number;
}

/**
 * Who steals a credential can wait for the right hour and read slowly, has seldom the network of the victim, and can't be a
 * role that is declared. So reasons weigh: the kinds that are there are added up.
 */
const WEIGHTS: Readonly<Record<Reason['rule'], number>> = {
  hour: 1,
  volume: 1,
  network: 2,
  resource: 2,
  reader: 3,
  undeclared: 3,
  outside: 3,
  // Whoever says it may make it up.
  stray: 2,
};

/** Most reasons that are listed of one anomaly. */
const LISTED = 20;

/** The reason that a suspicion is, by the declaration of the credential; undefined where that explains it. */
export function reasonOf(suspicion: Suspicion, holders: readonly Holder[]): Reason | undefined {
  const { reader, rule, text, at, isEarly } = suspicion;
  const declared = declaredAs(reader, holders);
  const who = whoOf(reader);
  if (rule !== 'reader') {
    const standing = declared === undefined ? 'no declared holder' : `declared as ${declared.name}`;
    return { rule, who, text: `${text}; ${standing}`, at };
  }
  if (declared !== undefined) return undefined;
  if (reader.kind !== 'workflow' && areAllNamed(holders))
    return { rule: 'undeclared', who, text: `${text}, and is none of the declared holders`, at };
  return isEarly === true ? undefined : { rule, who, text: `${text}, and no holder is declared for it`, at };
}

/** What several reasons come to; undefined without any. */
export function anomalyOf(reasons: readonly Reason[]): Anomaly | undefined {
  if (reasons.length === 0) return undefined;
  const kinds = new Set(reasons.map(({ rule }) => rule));
  const weight = [...kinds].reduce((sum, rule) => sum + WEIGHTS[rule], 0);
  const sorted = reasons.toSorted((a, b) => WEIGHTS[b.rule] - WEIGHTS[a.rule]);
  return {
    severity: weight >= 3 ? 'high' : weight === 2 ? 'medium' : 'low',
    reasons: sorted.slice(0, LISTED),
    ...(reasons.length > LISTED ? { more: reasons.length - LISTED } : {}),
  };
}

/** Each holder says as whom it reads, so that somebody else is none of them. */
function areAllNamed(holders: readonly Holder[]): boolean {
  return (
    holders.length > 0 && holders.every(({ principal, kind }) => principal !== undefined || kind === 'lambda')
  );
}

function declaredAs({ kind, ...who }: Suspect, holders: readonly Holder[]): Holder | undefined {
  if (kind === 'agent') return clientOf({ holders }, who.principal);
  if (kind === 'workflow')
    return holders.find(({ name, principal }) => name === who.principal || principal === who.principal);
  return holderOf({ kind, ...who }, holders);
}

function whoOf({ kind, principal, name }: Suspect): string {
  if (kind === 'agent') return harmless(`agent ${principal}`, 300);
  return harmless(name === undefined ? principal : `${name} (${principal})`, 300);
}
