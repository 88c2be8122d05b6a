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
    server: terms.server.issuer ?? terms.server.tokenEndpoint ?? '',
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
