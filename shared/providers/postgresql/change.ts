import type { CredentialHandle } from '../../domain/credential.ts';
import type { Row, Session } from './connection.ts';
import { literal, lockKeys, MARK_PATTERN, slotLockSql, type Mark } from './slots.ts';
import type { PostgresTarget } from './target.ts';

export interface Change {
  readonly to: Mark['state'];
  /** In an emergency: end sessions, and don't wait for an activation under way. */
  readonly emergency: boolean;
}

/** What was found and done about a slot, and what it looked like afterwards. */
export interface Changed {
  readonly outcome:
    /** The slot is in the wanted state, whether it was before or not. */
    | 'done'
    /** There is no such role. */
    | 'absent'
    /** A later generation is in the slot; nothing was touched. */
    | 'superseded'
    /** The generation never got there; nothing was touched (suspension and restoration only). */
    | 'never'
    /** It is retired, which nothing undoes. */
    | 'retired'
    /** The comment was overwritten: which generation is in the slot can't be told. Touched in an emergency only. */
    | 'unmarked'
    /** Another credential uses the role; nothing was touched. */
    | 'foreign';
  readonly canLogin: boolean;
  readonly sessionsLeft: number;
  readonly sessionsEnded: number;
  /** The administrator lacks the privilege to end sessions. */
  readonly denied: boolean;
}

interface StateRow extends Row {
  readonly outcome: Changed['outcome'];
  readonly can_login: boolean;
  readonly sessions_left: number;
  readonly sessions_ended: number;
  readonly denied: boolean;
}

/**
 * Moves a slot to another state, if `handle`'s generation is in it (for
 * a revocation: that or an earlier one): compare and change under the slot's lock, commit,
 * then end sessions, then read the state: one round trip. Sessions end after the commit, so that no login can slip in
 * between.
 */
export async function changeSlot(
  session: Session,
  target: PostgresTarget,
  handle: CredentialHandle,
  change: Change,
): Promise<Changed> {
  const parameters = {
    slot: handle.id,
    generation: String(handle.generation),
    token: handle.token ?? '-',
    credential: target.ownerRole,
    to: change.to,
    emergency: String(change.emergency),
    outcome: 'absent',
    touched: 'false',
    seen: '{}',
    ended: '0',
    denied: 'false',
    pattern: MARK_PATTERN,
  };
  const assign = Object.entries(parameters).map(([k, v]) => `set_config('rekey.${k}', ${literal(v)}, false)`);
  const [row] = await session.batch<StateRow>(
    [
      `BEGIN; SELECT ${assign.join(', ')}`,
      change.emergency ? takeLockByForce(handle) : slotLockSql(handle.id),
      COMPARE_AND_CHANGE,
      'COMMIT',
      ...(change.emergency ? [END_SESSIONS] : []),
      READ_STATE,
    ].join(';\n'),
  );
  return {
    outcome: row?.outcome ?? 'unmarked',
    canLogin: row?.can_login ?? true,
    sessionsLeft: row?.sessions_left ?? 0,
    sessionsEnded: row?.sessions_ended ?? 0,
    denied: row?.denied ?? false,
  };
}

/**
 * Takes the slot's lock where others hold it or wait for it: an emergency waits for nothing (hard decision 3). Advisory
 * locks are open to every login, the stolen one included, so holders that aren't the administrator's are ended, again
 * and again where they come back; of the administrator's own only activations of this generation or an earlier one.
 * Where the lock is free, this is one attempt. What of the administrator's may not be ended is waited for afterwards;
 * whoever else still keeps coming back is ignored: what the lock guards against is Rekey's own steps alone.
 */
function takeLockByForce({ id, generation }: CredentialHandle): string {
  const [space, key] = lockKeys(`slot ${id}`);
  const holders = `pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
       WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND l.classid::bigint = ${space} AND l.objid::bigint = ${key >>> 0}`;
  return `DO $rekey$
DECLARE
  holder int;
  give_up timestamptz := clock_timestamp() + interval '1500 milliseconds';
BEGIN
  WHILE clock_timestamp() < give_up LOOP
    IF pg_try_advisory_xact_lock(${space}, ${key}) THEN
      RETURN;
    END IF;
    PERFORM pg_stat_clear_snapshot();
    FOR holder IN SELECT l.pid FROM ${holders}
         AND (a.usename IS DISTINCT FROM current_user
              OR substring(a.application_name FROM '^rekey-activate ([0-9]{1,15})$')::bigint <= ${generation})
    LOOP
      BEGIN
        PERFORM pg_terminate_backend(holder);
      EXCEPTION WHEN insufficient_privilege THEN
        NULL;
      END;
    END LOOP;
    PERFORM pg_sleep(0.02);
  END LOOP;
  PERFORM pg_stat_clear_snapshot();
  IF EXISTS (SELECT FROM ${holders} AND l.granted AND a.usename = current_user) THEN
    PERFORM pg_advisory_xact_lock(${space}, ${key});
  END IF;
END $rekey$`;
}

/** Values come as settings of the session, so that this text is constant and quotes nothing. */
const COMPARE_AND_CHANGE = `DO $rekey$
DECLARE
  slot text := current_setting('rekey.slot');
  wanted bigint := current_setting('rekey.generation')::bigint;
  goal text := current_setting('rekey.to');
  emergency boolean := current_setting('rekey.emergency')::boolean;
  login boolean;
  mark text[];
  note text;
  outcome text := 'done';
  touched boolean := true;
  tries int := 0;
  seen int[] := '{}';
BEGIN
  SELECT r.rolcanlogin, regexp_match(shobj_description(r.oid, 'pg_authid'), current_setting('rekey.pattern')),
         shobj_description(r.oid, 'pg_authid')
    INTO login, mark, note FROM pg_roles r WHERE r.rolname = slot;
  IF NOT FOUND THEN
    IF emergency AND goal = 'retired' THEN
      -- An activation may still be on its way: it finds this mark and is refused.
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', slot);
        IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
          EXECUTE format('GRANT %I TO CURRENT_USER', slot) || CASE
            WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
        END IF;
        EXECUTE format('COMMENT ON ROLE %I IS %L', slot, format('rekey:1 gen=%s state=retired token=%s credential=%s',
          wanted, current_setting('rekey.token'), current_setting('rekey.credential')));
      EXCEPTION WHEN insufficient_privilege THEN
        NULL;
      END;
    END IF;
    RETURN;
  ELSIF mark IS NULL THEN
    outcome := 'unmarked';
    touched := goal = 'retired' AND emergency;
    mark := ARRAY[wanted::text, 'live', current_setting('rekey.token'), current_setting('rekey.credential'), note];
  ELSIF mark[4] <> current_setting('rekey.credential') THEN
    outcome := 'foreign';
    touched := false;
  ELSIF mark[1]::bigint > wanted THEN
    outcome := 'superseded';
    touched := false;
  ELSIF mark[1]::bigint < wanted THEN
    -- Revoking up to a generation: the mark keeps an activation that is still on its way from bringing it to life.
    touched := goal = 'retired';
    outcome := CASE WHEN touched THEN 'done' ELSE 'never' END;
    mark[3] := current_setting('rekey.token');
  ELSIF mark[2] = 'retired' AND goal <> 'retired' THEN
    outcome := 'retired';
    touched := false;
  END IF;
  WHILE touched LOOP
    BEGIN
      IF emergency THEN
        PERFORM set_config('lock_timeout', '100ms', true);
      END IF;
      EXECUTE format('ALTER ROLE %I %s', slot, CASE goal
        WHEN 'retired' THEN 'NOLOGIN PASSWORD NULL' WHEN 'suspended' THEN 'NOLOGIN' ELSE 'LOGIN' END);
      EXECUTE format('COMMENT ON ROLE %I IS %L', slot, format('rekey:1 gen=%s state=%s token=%s credential=%s%s',
        wanted, goal, mark[3], mark[4], E'\\n' || mark[5]));
      EXIT;
    EXCEPTION WHEN lock_not_available OR internal_error THEN
      -- The user may change its own password: an open transaction that does keeps everybody else from its role.
      tries := tries + 1;
      IF NOT emergency OR tries > 20 THEN
        RAISE;
      END IF;
      PERFORM pg_stat_clear_snapshot();
      SELECT seen || coalesce(array_agg(a.pid), '{}') INTO seen FROM pg_stat_activity a
       WHERE a.usename = slot AND a.pid <> pg_backend_pid() AND a.pid <> ALL(seen);
      BEGIN
        PERFORM pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.usename = slot AND a.pid <> pg_backend_pid();
      EXCEPTION WHEN insufficient_privilege THEN
        PERFORM set_config('rekey.denied', 'true', false);
      END;
    END;
  END LOOP;
  PERFORM set_config('rekey.seen', seen::text, false);
  PERFORM set_config('rekey.outcome', outcome, false), set_config('rekey.touched', touched::text, false);
END $rekey$`;

/**
 * Ends sessions until none has been there for two looks in a row: a login that was let in just before the commit
 * shows up a moment later. A client can stretch that moment (post_auth_delay): until then its backend shows only by
 * the lock that it holds on its database while it starts. Those that were starting at the first look and still are
 * half a second later are ended too, as far as the administrator may; 60 looks, 20 ms apart, bound it all.
 */
const END_SESSIONS = `DO $rekey$
DECLARE
  victim oid := (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_setting('rekey.slot'));
  quiet int := 0;
  pids int[];
  starting int[];
  suspects int[];
  suspect int;
  seen int[] := current_setting('rekey.seen')::int[];
BEGIN
  IF NOT current_setting('rekey.touched')::boolean THEN
    RETURN;
  END IF;
  FOR look IN 1..60 LOOP
    PERFORM pg_stat_clear_snapshot();
    SELECT coalesce(array_agg(DISTINCT l.pid), '{}') INTO starting FROM pg_locks l
     WHERE l.locktype = 'object' AND l.classid = 'pg_database'::regclass AND l.mode = 'RowExclusiveLock'
       AND l.pid <> pg_backend_pid()
       AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid AND a.usesysid IS NOT NULL);
    suspects := ARRAY(SELECT p FROM unnest(coalesce(suspects, starting)) p WHERE p = ANY(starting));
    SELECT coalesce(array_agg(a.pid), '{}') INTO pids FROM pg_stat_activity a
     WHERE a.usesysid = victim AND a.pid <> pg_backend_pid();
    IF cardinality(pids) = 0 THEN
      quiet := quiet + 1;
      EXIT WHEN quiet >= 2 AND cardinality(suspects) = 0;
    ELSE
      quiet := 0;
      PERFORM pg_terminate_backend(p) FROM unnest(pids) p;
      SELECT array_agg(DISTINCT p) INTO seen FROM unnest(seen || pids) p;
    END IF;
    IF look % 25 = 0 THEN
      FOREACH suspect IN ARRAY suspects LOOP
        BEGIN
          PERFORM pg_terminate_backend(suspect);
          seen := array_append(array_remove(seen, suspect), suspect);
        EXCEPTION WHEN insufficient_privilege THEN
          -- Another user's login; the privilege is looked up by the role that the backend has taken on already.
          suspects := array_remove(suspects, suspect);
        END;
      END LOOP;
    END IF;
    PERFORM pg_sleep(0.02);
  END LOOP;
  PERFORM set_config('rekey.ended', cardinality(seen)::text, false);
EXCEPTION WHEN insufficient_privilege THEN
  PERFORM set_config('rekey.denied', 'true', false);
END $rekey$`;

const READ_STATE = `SELECT current_setting('rekey.outcome') AS outcome, current_setting('rekey.denied')::boolean AS denied,
       current_setting('rekey.ended')::int AS sessions_ended,
       coalesce((SELECT r.rolcanlogin FROM pg_roles r WHERE r.rolname = current_setting('rekey.slot')), false) AS can_login,
       (SELECT count(*)::int FROM pg_stat_activity a WHERE a.usename = current_setting('rekey.slot')
          AND a.pid <> pg_backend_pid()) AS sessions_left`;
