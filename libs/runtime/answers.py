"""The statements about stored answers: the first answer to an idempotency key is what a repeat of its request gets."""

from libs.runtime.statements import WATCHED

FIND = "SELECT fingerprint, status, headers, body FROM requests WHERE caller = $1 AND idempotency_key = $2"
# What a command begins with: whether it was answered before, the keys as they were, the open day, and, if it asks ($4),
# the outbox's length (libs/runtime/room.py).
LOOK = f"""
SELECT EXISTS (SELECT FROM requests WHERE caller = $1 AND idempotency_key = $2) AS known,
       (SELECT open FROM clock WHERE id = 1) AS open,
       CASE WHEN $4 THEN (SELECT COALESCE(max(id) - min(id) + 1, 0) FROM outbox) END AS waiting,
       {WATCHED.format(keys="$3")} AS keys
"""  # noqa: S608 - a constant of ours
# The same under locks, where keys that had no owner are $5's from now on.
# The version of a key moves with the lock, unless it is a repeat. A twin under way is not seen here: who comes second
# waits for the first at a key's row, or at last where both store their answer, and has changed nothing then.
ENTER = """
WITH known AS (SELECT 1 FROM requests WHERE caller = $1 AND idempotency_key = $2), locked AS (
    INSERT INTO stream (key, version, org)
    SELECT key, 1 - (SELECT count(*) FROM known), $5 FROM unnest($3::text[]) AS key
    ON CONFLICT (key) DO UPDATE SET version = stream.version + 1 - (SELECT count(*) FROM known)
    RETURNING key, seq, version, org
)
SELECT EXISTS (SELECT FROM known) AS known, (SELECT open FROM clock WHERE id = 1) AS open,
       CASE WHEN $4 THEN (SELECT COALESCE(max(id) - min(id) + 1, 0) FROM outbox) END AS waiting,
       (SELECT json_agg(json_build_array(key, seq, version - 1, org)) FROM locked) AS keys
"""
# Goes with the effects of a command (libs/runtime/statements.py:together); a twin's that is there already fails it.
_STORE = """
INSERT INTO requests (caller, idempotency_key, fingerprint, status, headers, body)
VALUES ($1, $2, {fingerprint}, $4::text::int, $5::text::jsonb, $6)
"""
STORE = _STORE.format(fingerprint="$3")
# The same from a command that locked nothing: where its day ($7) is not open any more, it is NULL, which is refused.
STORE_WITHIN = _STORE.format(fingerprint="CASE WHEN still_open($7) THEN $3 END")
# No row comes back when there is an answer already; one that is being stored is waited for.
KEEP = """
INSERT INTO requests (caller, idempotency_key, fingerprint, status, headers, body)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6) ON CONFLICT DO NOTHING RETURNING 1
"""
SETTLE = """
UPDATE requests SET status = $3, headers = $4::text::jsonb, body = $5 WHERE caller = $1 AND idempotency_key = $2
"""
