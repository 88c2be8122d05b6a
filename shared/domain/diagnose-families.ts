import { fromInstant } from './clock.ts';
import { pauseText } from './credential.ts';
import { bad, ok, type Check } from './diagnosis.ts';
import { CONSENT_REASONS, type Family } from './families.ts';
import { consentDueAt, refreshAt, shortLifeOf, SHORTEST_LIFE_SECONDS } from './family-refresh.ts';

/** What the head of a family tells, and what fails first while Rekey is down. */
export function familyChecks(family: Family, now: number): Check[] {
  return [statusOf(family), tokensOf(family, now), ...consentOf(family, now), holdersOf(family)];
}

function statusOf({ name, status, needs, paused, provisioned, incident }: Family): Check {
  const about = 'status';
  if (!provisioned) {
    return bad(
      'fail',
      'credential',
      about,
      'its registration has not come to an end',
      'apply its entry again',
    );
  }
  if (incident?.outcome === 'unsupported') {
    const detail = `the server could not be brought to revoke it in the emergency ${incident.id}`;
    return bad(
      'fail',
      'credential',
      about,
      detail,
      'revoke the grant at the server by hand, then: rekey connect',
    );
  }
  if (status === 'consent-needed') {
    const detail = `consent is needed: ${CONSENT_REASONS[needs?.why ?? 'first']}`;
    return bad('fail', 'credential', about, detail, `a person consents: rekey connect ${name}`);
  }
  return paused === undefined
    ? ok('credential', about, 'active')
    : bad('warn', 'credential', about, pauseText(paused), `once its reason is gone: rekey unpause ${name}`);
}

function tokensOf({ name, status, tokens, trouble, attempt, paused }: Family, now: number): Check {
  const about = 'access token';
  if (tokens === undefined) {
    return status === 'active'
      ? bad('warn', 'rotation', about, 'the first one is not there yet', 'look again in a minute')
      : ok('rotation', about, 'none is given out');
  }
  const { expiresAt } = tokens;
  const isOver = fromInstant(expiresAt) <= now;
  const life = isOver ? `expired at ${expiresAt}` : `lasts until ${expiresAt}`;
  if (trouble !== undefined) {
    const detail = `${life}; ${trouble.failures} refreshes failed since ${trouble.since} (${trouble.code})`;
    return bad(
      isOver ? 'fail' : 'warn',
      'rotation',
      about,
      detail,
      `docs/runbook.md, "Consent needed", says what ${trouble.code} means there`,
    );
  }
  if (status === 'active' && isOver && attempt === undefined && paused === undefined) {
    return bad('fail', 'rotation', about, life, 'docs/runbook.md, "Coordinator failed"');
  }
  const seconds = shortLifeOf(tokens);
  if (status === 'active' && seconds !== undefined) {
    return bad(
      'warn',
      'rotation',
      about,
      `${life}; it lives ${seconds} seconds in all, and a refresh comes every ten minutes at most: agents fail in between`,
      `configure ${SHORTEST_LIFE_SECONDS} seconds or more at the server`,
    );
  }
  const next =
    status === 'active' && paused === undefined ? `, the next one comes at ${refreshAt(tokens)}` : '';
  // The one thing of Rekey that doesn't outlast its being down.
  return ok(
    'rotation',
    about,
    `${life}${next}; while Rekey is down agents of ${name} fail from ${expiresAt}`,
  );
}

function consentOf({ name, terms, status, tokens }: Family, now: number): Check[] {
  const due = tokens && status === 'active' ? consentDueAt(tokens) : undefined;
  if (due === undefined || terms.grant === 'client_credentials') return [];
  const about = 'refresh token';
  const detail = `the same since ${tokens?.rotatedAt ?? ''}`;
  return [
    fromInstant(due) > now
      ? ok('rotation', about, detail)
      : bad(
          'warn',
          'rotation',
          about,
          `${detail}: it should have been replaced by ${due}`,
          `consent again: rekey connect ${name}`,
        ),
  ];
}

function holdersOf({ name, terms: { holders } }: Family): Check {
  if (holders.length > 0) return ok('holders', 'declared', holders.map((each) => each.name).join(', '));
  return bad(
    'warn',
    'holders',
    'declared',
    'none: in an emergency every fleet is told',
    `declare who uses ${name}, and apply`,
  );
}
