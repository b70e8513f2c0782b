"""The statements by which a unit writes what it queued, and how several become one, which costs one round trip."""

from __future__ import annotations

import re
from functools import lru_cache

# Whoever locks a key may change what is kept under it: its version moves with the lock, at no cost of its own.
LOCK = """
INSERT INTO stream (key, version, org) SELECT key, 1, org FROM unnest($1::text[], $2::text[]) AS k(key, org)
ON CONFLICT (key) DO UPDATE
SET version = stream.version + 1, org = CASE stream.org WHEN '' THEN excluded.org ELSE stream.org END
RETURNING key, seq, org
"""
BORN = """
INSERT INTO stream (key, seq, version, org)
SELECT key, seq, 1, org FROM jsonb_to_recordset($1::jsonb) AS b(key text, seq bigint, org text)
"""
# The rows are there, locked by this transaction: each conflicts, and so is found by its key, whatever the planner
# thinks. An UPDATE that joins would read the whole table while it has less than some 25,000 rows.
MOVED = """
INSERT INTO stream (key, seq) SELECT key, seq FROM jsonb_to_recordset($1::jsonb) AS t(key text, seq bigint)
ON CONFLICT (key) DO UPDATE SET seq = excluded.seq
"""
# LOCK and MOVED in one, for keys that were only looked at: as they were found, or not at all. A version that somebody
# else has moved since becomes NULL, which the column refuses, and the whole statement fails.
UNCHANGED = """
INSERT INTO stream (key, seq, version, org)
SELECT key, seq, version + 1, org FROM jsonb_to_recordset($1::jsonb)
AS w(key text, seq bigint, version bigint, org text)
ON CONFLICT (key) DO UPDATE
SET seq = excluded.seq, org = excluded.org,
    version = CASE stream.version WHEN excluded.version - 1 THEN excluded.version END
"""
# What there is to watch of the keys of an array, as one column: each with its sequence, version and owner.
WATCHED = """
(SELECT json_agg(json_build_array(k.key, COALESCE(s.seq, 0), COALESCE(s.version, 0), COALESCE(s.org, '')))
 FROM unnest({keys}::text[]) AS k(key)
 LEFT JOIN LATERAL (SELECT seq, version, org FROM stream WHERE key = k.key LIMIT 1) s ON true)
"""
OUTBOX = """
INSERT INTO outbox (key, topic, event_id, headers, payload)
SELECT key, topic, event_id, headers, payload FROM jsonb_to_recordset($1::jsonb)
AS e(key text, topic text, event_id text, headers jsonb, payload text)
RETURNING id, event_id
"""
FORGET_TIMERS = """
DELETE FROM timers t USING unnest($1::text[], $2::text[]) AS c(kind, ref) WHERE t.kind = c.kind AND t.ref = c.ref
"""
TIMERS = """
INSERT INTO timers (kind, ref, key, due, org, traceparent)
SELECT kind, ref, key, due, org, traceparent FROM jsonb_to_recordset($1::jsonb)
AS t(kind text, ref text, key text, due date, org text, traceparent text)
ON CONFLICT (kind, ref) DO UPDATE
SET due = excluded.due, key = excluded.key, org = excluded.org, traceparent = excluded.traceparent
"""
CALLS = """
INSERT INTO calls (id, key, kind, reference, request, business_date, org, traceparent)
SELECT id, key, kind, reference, request, business_date, org, traceparent FROM jsonb_to_recordset($1::jsonb)
AS c(id text, key text, kind text, reference text, request jsonb, business_date date, org text, traceparent text)
ON CONFLICT (kind, reference) DO NOTHING
"""
_PARAMETER = re.compile(r"\$(\d+)")


@lru_cache(maxsize=1_000)
def together(parts: tuple[str, ...]) -> str:
    """One statement for several, each with parameters of its own from $1 on; they follow in the same order.

    The parts touch different rows and see nothing of each other's.
    """
    shifted, at = [], 0
    for part in parts:
        shifted.append(_PARAMETER.sub(lambda found, by=at: f"${int(found[1]) + by}", part))  # type: ignore[misc]  # a lambda's default
        at += len(set(_PARAMETER.findall(part)))
    *beside, last = shifted
    head = ", ".join(f"part_{number} AS ({text})" for number, text in enumerate(beside))
    return f"WITH {head} {last}" if head else last
