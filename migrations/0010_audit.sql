-- The audit is read by person and by action, newest first.
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_actor_and_action ON audit (actor_id, action, id);
