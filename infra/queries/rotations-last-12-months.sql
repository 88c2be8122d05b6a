-- A2: all rotations of the last 12 months, with dates, actors and confirmation that the old credential was deactivated.
-- One row for each rotation and each credential of an emergency. "CONFIRMED" only where the record of the deactivation
-- says so; whatever is missing, still under way or unproven reads "NOT CONFIRMED", which is never inferred from anything.
-- Of token families it has the emergencies. Their refreshes, dozens a day, are no rows: action = 'tokens-refreshed' finds them.
WITH records AS (
  -- Delivery is at least once: DISTINCT drops copies that are equal in everything, so that a forged one still shows.
  SELECT DISTINCT
    entity.uid AS credential_uid,
    entity.name AS credential,
    metadata.correlation_uid AS rotation,
    metadata.sequence AS seq,
    integrity.hash AS record_hash,
    time_dt AS recorded_at,
    message AS action,
    actor.user.uid AS actor_uid,
    entity.data.trigger AS trigger_kind,
    entity.data.incident AS incident,
    entity.data.old_fingerprint AS old_fingerprint,
    entity.data.new_fingerprint AS new_fingerprint,
    entity.data.deactivation AS deactivation,
    entity.data.evidence AS evidence
  FROM audit_records
  WHERE dt >= CAST(CAST(current_date - INTERVAL '12' MONTH AS DATE) AS VARCHAR)
),
rotations AS (
  SELECT
    credential_uid,
    rotation,
    max(credential) AS credential,
    min_by(trigger_kind, seq) AS trigger_kind,
    min_by(actor_uid, seq) AS actor_uid,
    max(incident) AS incident,
    min(recorded_at) AS rotated_at,
    max(old_fingerprint) AS old_fingerprint,
    max(new_fingerprint) AS new_fingerprint
  FROM records
  WHERE action IN ('window-opened', 'replaced', 'emergency-revoked', 'emergency-revocation-failed')
  GROUP BY credential_uid, rotation
),
endings AS (
  -- The newest word counts: a revocation that failed and then succeeded has succeeded.
  SELECT
    credential_uid,
    rotation,
    max_by(action, seq) AS outcome,
    max_by(recorded_at, seq) AS ended_at,
    max_by(deactivation, seq) AS deactivation,
    max_by(incident, seq) AS incident
  FROM records
  WHERE action IN ('retired', 'kept', 'rolled-back', 'emergency-revoked', 'emergency-revocation-failed')
  GROUP BY credential_uid, rotation
),
preemptions AS (
  -- An emergency ends whatever is alive, so its own record speaks for the rotation that it names as preempted.
  SELECT credential_uid, incident, evidence
  FROM records
  WHERE action = 'emergency-intended'
)
SELECT
  r.credential,
  r.credential_uid,
  r.rotation,
  r.trigger_kind,
  r.actor_uid AS actor,
  coalesce(nullif(r.incident, ''), p.incident, '') AS incident,
  r.rotated_at,
  r.old_fingerprint,
  r.new_fingerprint,
  CASE
    WHEN e.outcome IS NOT NULL THEN e.outcome
    WHEN p.incident IS NOT NULL THEN 'preempted'
    ELSE 'under way'
  END AS outcome,
  CASE
    WHEN e.outcome IN ('retired', 'rolled-back', 'emergency-revoked') THEN e.ended_at
    WHEN e.outcome IS NULL AND pe.outcome = 'emergency-revoked' THEN pe.ended_at
  END AS deactivated_at,
  CASE
    WHEN coalesce(e.deactivation, pe.deactivation) = 'CONFIRMED' THEN 'CONFIRMED'
    ELSE 'NOT CONFIRMED'
  END AS deactivation
FROM rotations r
LEFT JOIN endings e ON e.credential_uid = r.credential_uid AND e.rotation = r.rotation
LEFT JOIN preemptions p ON p.credential_uid = r.credential_uid AND strpos(p.evidence, r.rotation) > 0
LEFT JOIN endings pe ON pe.credential_uid = p.credential_uid AND pe.incident = p.incident
ORDER BY r.rotated_at, r.credential, r.rotation
