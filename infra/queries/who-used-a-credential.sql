-- A3: which agent used this credential between two times, and which value of it.
-- Five parameters, in this order: first day, last day (YYYY-MM-DD), name or id of the credential, first instant, last instant
-- (2026-11-22T12:00:00.000Z), all in UTC. The days only bound what is scanned: those of the instants, the first one a day
-- earlier. One row for each agent, session and version; sub-agents are agents of their own. Agents that report nothing, and
-- whoever has stolen a value, are in no row.
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
minutes AS (
  -- The counts of a minute grow from report to report, and delivery is at least once: the longest report says it all.
  SELECT
    credential_uid,
    agent,
    session,
    version_id,
    used_from,
    max(used_to) AS used_to,
    max_by(succeeded, used_to) AS succeeded,
    max_by(refused, used_to) AS refused
  FROM agent_uses
  WHERE dt BETWEEN ? AND ?
  GROUP BY credential_uid, agent, session, version_id, used_from
)
SELECT
  m.agent,
  m.session,
  max(n.credential) AS credential,
  m.credential_uid,
  m.version_id,
  max(v.fingerprint) AS fingerprint,
  min(m.used_from) AS first_use,
  max(m.used_to) AS last_use,
  sum(m.succeeded) AS succeeded,
  sum(m.refused) AS refused
FROM minutes m
LEFT JOIN names n ON n.credential_uid = m.credential_uid
LEFT JOIN versions v ON v.credential_uid = m.credential_uid AND v.version_id = m.version_id
WHERE ? IN (n.credential, m.credential_uid)
  AND m.used_to > ?
  AND m.used_from < ?
  AND m.succeeded + m.refused > 0
GROUP BY m.agent, m.session, m.credential_uid, m.version_id
ORDER BY first_use, m.agent, m.session, m.version_id
