import { CONSENT_REASONS, type Family } from '../domain/families.ts';
import { consentDueAt, refreshAt } from '../domain/family-refresh.ts';
import type { FamilyView } from './messages.ts';
import { holderView } from './views.ts';

/** A token family as operators see it. */
export function familyView(family: Family): FamilyView {
  const { terms, needs, tokens, attempt, trouble, paused, incident } = family;
  return {
    id: family.id,
    name: family.name,
    owner: terms.owner,
    status: family.status,
    ...(needs === undefined ? {} : { needs: { ...needs, text: CONSENT_REASONS[needs.why] } }),
    server: serverOf(family),
    client: terms.client.id,
    grant: terms.grant,
    scopes: [...terms.scopes],
    secret: family.secretName,
    ...(tokens === undefined ? {} : { tokens: tokensView(tokens) }),
    ...(attempt === undefined
      ? {}
      : { attempt: { kind: attempt.kind, since: attempt.since, until: attempt.until } }),
    ...(trouble === undefined ? {} : { trouble: troubleView(trouble) }),
    ...(paused === undefined ? {} : { paused }),
    ...(incident === undefined
      ? {}
      : { incident: { id: incident.id, since: incident.since, outcome: incident.outcome ?? 'pending' } }),
    holders: terms.holders.map(holderView),
  };
}

/** Its authorization server, which is to a family what a provider is to a credential. */
export function serverOf({ terms: { server } }: Pick<Family, 'terms'>): string {
  return server.issuer ?? server.tokenEndpoint ?? '';
}

/** What its tokens open, as far as it is declared and the server has said. */
export function opensOf(family: Pick<Family, 'terms' | 'tokens'>): { name: string; value: string }[] {
  const { client, scopes, resource, audience } = family.terms;
  const told = {
    server: serverOf(family),
    client: client.id,
    scopes: scopes.join(' '),
    granted: family.tokens?.scope,
    resource,
    audience,
  };
  return Object.entries(told).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [{ name, value }],
  );
}

function tokensView(tokens: NonNullable<Family['tokens']>): NonNullable<FamilyView['tokens']> {
  const due = consentDueAt(tokens);
  return {
    fingerprint: tokens.fingerprint,
    consentedAt: tokens.consentedAt,
    rotatedAt: tokens.rotatedAt,
    refreshedAt: tokens.refreshedAt,
    expiresAt: tokens.expiresAt,
    refreshAt: refreshAt(tokens),
    ...(due === undefined ? {} : { consentDueAt: due }),
    ...(tokens.scope === undefined ? {} : { scope: tokens.scope }),
  };
}

function troubleView({ code, since, failures, notBefore }: NonNullable<Family['trouble']>) {
  return { code, since, failures, notBefore };
}
