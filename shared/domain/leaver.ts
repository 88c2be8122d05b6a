import { capabilitiesOf } from './capabilities.ts';
import type { Credential } from './credential.ts';
import { sightsOf, unnamedReaders, type Sight, type Valued, type Witness } from './knowledge.ts';
import { personIn } from './person.ts';

/** A token family, and who has consented to it. */
export interface ConsentedFamily {
  readonly name: string;
  readonly tokens?: { readonly consentedAt: string; readonly consentedBy?: string | undefined } | undefined;
}

/** A credential of which a person knows a value that works. */
export interface KnownCredential<C extends Valued = Valued> {
  readonly witness: Witness<C>;
  readonly why: readonly string[];
  /** The values of it that they know, by the version of the secret. */
  readonly versions: readonly string[];
}

/** What a person who leaves takes along. */
export interface Leaver<C extends Valued = Valued> {
  readonly credentials: readonly KnownCredential<C>[];
  /** Families that live by their consent, with what tells it. */
  readonly families: readonly { readonly name: string; readonly why: string }[];
  /** What nobody knows, in words. */
  readonly unknown: readonly string[];
  /** Everybody who is known to have seen anything at any time, in order. */
  readonly people: readonly string[];
}

/** What a person knows, by what is declared and what Rekey has seen. Only what works yet counts. Pure. */
export function knownTo<C extends Valued & Pick<Credential, 'type' | 'provider'>>(
  person: string,
  witnesses: readonly Witness<C>[],
  families: readonly ConsentedFamily[],
): Leaver<C> {
  const name = personIn(person);
  const all = witnesses.map((witness) => ({ witness, sights: sightsOf(witness) }));
  const consented = families.flatMap(({ name: family, tokens }) =>
    tokens?.consentedBy === undefined
      ? []
      : [
          {
            name: family,
            person: personIn(tokens.consentedBy),
            why: `${personIn(tokens.consentedBy)} consented at ${tokens.consentedAt}`,
          },
        ],
  );
  const people = [...all.flatMap(({ sights }) => sights), ...consented].map((each) => each.person);
  return {
    credentials: all.flatMap(({ witness, sights }) => known(name, witness, sights)),
    families: consented
      .filter((each) => each.person === name)
      .map(({ name: family, why }) => ({ name: family, why })),
    unknown: [...unnamed(witnesses), ...filled(witnesses)],
    people: [...new Set(people)].toSorted(),
  };
}

function known<C extends Valued>(
  person: string,
  witness: Witness<C>,
  sights: readonly Sight[],
): KnownCredential<C>[] {
  const own = sights.filter((sight) => sight.person === person && sight.versions.length > 0);
  if (own.length === 0) return [];
  const versions = new Set(own.flatMap((sight) => sight.versions));
  return [{ witness, why: [...new Set(own.map(({ why }) => why))], versions: [...versions] }];
}

/** By the role: people may have read very many secrets under one. */
function unnamed(witnesses: readonly Witness[]): string[] {
  const seen = witnesses.flatMap((witness) =>
    unnamedReaders(witness).map(({ principal }) => ({ principal, name: witness.credential.name })),
  );
  return [...Map.groupBy(seen, ({ principal }) => principal)]
    .map(([principal, ones]) => {
      const names = [...new Set(ones.map(({ name }) => name))].join(', ');
      return `somebody read ${names} as ${principal}: which person is not known`;
    })
    .toSorted();
}

function filled(witnesses: readonly Witness<Valued & Pick<Credential, 'type' | 'provider'>>[]): string[] {
  const pools = witnesses
    .map(({ credential }) => credential)
    .filter(({ type, provider, knownBy }) => knownBy === undefined && isPooled({ type, provider }));
  if (pools.length === 0) return [];
  const names = pools.map(({ name }) => name).join(', ');
  return [`who has made the keys of the pools of ${names} is not known: declare them as knownBy`];
}

function isPooled({ type, provider }: Pick<Credential, 'type' | 'provider'>): boolean {
  return capabilitiesOf(type, provider)?.canCreate === false;
}

/** What a staged rotation leaves to a person, in words, before it and at its end. */
export function tasksOf({
  name,
  type,
  provider,
  mode,
  holders,
}: Pick<Credential, 'name' | 'type' | 'provider' | 'mode' | 'holders'>): string[] {
  const facts = capabilitiesOf(type, provider);
  const manual = holders.filter(({ kind }) => kind === 'manual').map((holder) => holder.name);
  return [
    ...(isPooled({ type, provider }) && facts?.task !== true
      ? [`the next one comes from its pool: take out what they have made or seen there, and put new ones in`]
      : []),
    ...(facts?.revocation === 'manual' && facts.task !== true
      ? [`a person ends the old one at ${provider} once its window closes; \`rekey show ${name}\` says which`]
      : []),
    ...(mode === 'overlap'
      ? ['mode overlap keeps the old one, which they know: set mode enforce, or end it by an emergency']
      : []),
    ...(holders.length === 0 ? ['no holder is known, so the old one is not retired by itself'] : []),
    ...manual.map(
      (holder) => `once ${holder} has moved, confirm it in the window: rekey confirm ${name} ${holder}`,
    ),
  ];
}
