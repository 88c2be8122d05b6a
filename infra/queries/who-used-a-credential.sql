-- A3: which agent used this credential between two times, and which value of it.
-- Five parameters, in this order: first day, last day (YYYY-MM-DD), name or id of the credential, first instant, last instant
-- (2026-11-22T12:00:00.000Z), all in UTC. The days only bound what is scanned: those of the instants, the first one a day
-- earlier. One row for each agent, session and version as agents report (source: agent), sub-agents as agents of their own; and
-- one for each key, workflow, address, scope and outcome as upstreams tell (cloudtrail, database-log, provider-usage). A row
-- of an upstream that counts nothing has no counts; one of CloudTrail without a key is a read of the secret.
WITH names AS (
  SELECT entity.uid AS credential_uid, max_by(entity.name, metadata.sequence) AS credential
  FROM audit_records
  GROUP BY entity.uid
),
versions AS (
  -- The version of the secret is the rotation that has made it. That of the first value is the credential's own id.
  SELECT
    entity.uid AS credential_uid,
    CASE WHEN metadata.correlation_uid = '' THEN entity.uid ELSE metadata.correlation_uid END AS version_id,
    max(entity.data.new_fingerprint) AS fingerprint
  FROM audit_records
  WHERE entity.data.new_fingerprint <> ''
  GROUP BY entity.uid, CASE WHEN metadata.correlation_uid = '' THEN entity.uid ELSE metadata.correlation_uid END
),
logins AS (
  -- A key or login at the upstream is a handle without its generation. A login has a value after the other: which, it doesn't tell.
  SELECT
    entity.uid AS credential_uid,
    regexp_replace(entity.data.new_handle, '#[^#]*$', '') AS key_id,
    CASE
      WHEN count(DISTINCT entity.data.new_fingerprint) = 1 THEN max(entity.data.new_fingerprint)
    END AS fingerprint
  FROM audit_records
  WHERE entity.data.new_fingerprint <> ''
  GROUP BY entity.uid, regexp_replace(entity.data.new_handle, '#[^#]*$', '')
),
told AS (
  SELECT
    'agent' AS source,
    dt,
    credential_uid,
    agent,
    session,
    version_id,
    CAST(NULL AS varchar) AS key_id,
    CAST(NULL AS varchar) AS address,
    CAST(NULL AS varchar) AS scope,
    CAST(NULL AS varchar) AS outcome,
    used_from,
    used_to,
    succeeded,
    refused
  FROM agent_uses
  UNION ALL
  SELECT
    source,
    dt,
    credential_uid,
    who AS agent,
    CAST(NULL AS varchar) AS session,
    version_id,
    key_id,
    address,
    scope,
    outcome,
    used_from,
    used_to,
    succeeded,
    refused
  FROM upstream_uses
),
minutes AS (
  -- Time and counts of a minute grow from one telling to the next, and delivery is at least once: the largest say it all.
  SELECT
    source,
    credential_uid,
    agent,
    session,
    version_id,
    key_id,
    address,
    scope,
    outcome,
    min(used_from) AS used_from,
    max(used_to) AS used_to,
    max(succeeded) AS succeeded,
    max(refused) AS refused
  FROM told
  WHERE dt BETWEEN ? AND ?
  GROUP BY
    source, credential_uid, agent, session, version_id, key_id, address, scope, outcome, substr(used_from, 1, 16)
)
SELECT
  m.source,
  m.agent,
  m.session,
  max(n.credential) AS credential,
  m.credential_uid,
  m.version_id,
  m.key_id,
  coalesce(max(v.fingerprint), max(l.fingerprint)) AS fingerprint,
  m.address,
  m.scope,
  m.outcome,
  min(m.used_from) AS first_use,
  max(m.used_to) AS last_use,
  sum(m.succeeded) AS succeeded,
  sum(m.refused) AS refused
FROM minutes m
LEFT JOIN names n ON n.credential_uid = m.credential_uid
LEFT JOIN versions v ON v.credential_uid = m.credential_uid AND v.version_id = m.version_id
LEFT JOIN logins l ON l.credential_uid = m.credential_uid AND l.key_id = m.key_id
WHERE ? IN (n.credential, m.credential_uid)
  AND m.used_to >= ?
  AND m.used_from <= ?
  AND (coalesce(m.succeeded, m.refused) IS NULL OR coalesce(m.succeeded, 0) + coalesce(m.refused, 0) > 0)
GROUP BY m.source, m.agent, m.session, m.credential_uid, m.version_id, m.key_id, m.address, m.scope, m.outcome
ORDER BY first_use, m.source, m.agent, m.session, m.version_id, m.key_id, m.scope, m.outcome
