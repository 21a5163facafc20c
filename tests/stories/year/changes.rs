//! What may go wrong with the tables of a year: each a change of its own, which its rule must notice.

use super::ledger::Rule;

/// What the changes below may touch.
pub const TABLES: [&str; 6] = ["call", "callback", "voicemail", "delivery", "alarm", "job"];

/// One change of the tables, and the rule that must notice it.
pub const CHANGES: [(Rule, &str); 31] = [
    // A call is hidden from the log, or stands there twice, or on another line, or with another caller.
    (Rule::LoggedOnce, "DELETE FROM call WHERE id = (SELECT MAX(id) FROM call)"),
    (
        Rule::LoggedOnce,
        "UPDATE call SET provider_call_id = (SELECT provider_call_id FROM call ORDER BY id LIMIT 1)
         WHERE id = (SELECT MAX(id) FROM call)",
    ),
    (Rule::LoggedOnce, "UPDATE call SET line = 'unknown' WHERE id = (SELECT MAX(id) FROM call WHERE line = 'staff')"),
    (
        Rule::LoggedOnce,
        "UPDATE call SET caller = '+79280000999' WHERE id = (SELECT MAX(id) FROM call WHERE caller IS NOT NULL)",
    ),
    (Rule::NothingInvented, "UPDATE call SET provider_call_id = 'CA-nobody' WHERE id = (SELECT MAX(id) FROM call)"),
    // A webhook is not in the inbox, or in other words, at another instant or address, beside another call, or once
    // where it came twice.
    (Rule::AcknowledgedIsKept, "DELETE FROM delivery WHERE id = (SELECT MAX(id) FROM delivery WHERE method <> 'OWN')"),
    (
        Rule::AcknowledgedIsKept,
        "UPDATE delivery SET body = CAST('CallSid=CA1' AS BLOB)
         WHERE id = (SELECT MAX(id) FROM delivery WHERE method <> 'OWN')",
    ),
    (
        Rule::AcknowledgedIsKept,
        "UPDATE delivery SET received_at = received_at + 1
         WHERE id = (SELECT MAX(id) FROM delivery WHERE method <> 'OWN')",
    ),
    (
        Rule::AcknowledgedIsKept,
        "UPDATE delivery SET target = '/webhooks/twilio/other'
         WHERE id = (SELECT MAX(id) FROM delivery WHERE method <> 'OWN')",
    ),
    (
        Rule::AcknowledgedIsKept,
        "UPDATE delivery SET call_id = (SELECT MIN(id) FROM call)
         WHERE id = (SELECT MAX(id) FROM delivery WHERE method <> 'OWN')",
    ),
    (
        Rule::AcknowledgedIsKept,
        "DELETE FROM delivery WHERE id = (
             SELECT MIN(id) FROM delivery WHERE method <> 'OWN'
             GROUP BY target, body, received_at HAVING COUNT(*) > 1 LIMIT 1)",
    ),
    // A message has no row, or two, or waits for ever, or is given up though its provider has it.
    (Rule::MessageStored, "DELETE FROM voicemail WHERE id = (SELECT MAX(id) FROM voicemail)"),
    (
        Rule::MessageStored,
        "UPDATE voicemail SET recording_id = (SELECT recording_id FROM voicemail ORDER BY id LIMIT 1)
         WHERE id = (SELECT MAX(id) FROM voicemail)",
    ),
    (Rule::MessageStored, "UPDATE voicemail SET state = 'pending' WHERE id = (SELECT MAX(id) FROM voicemail)"),
    (Rule::MessageStored, "UPDATE voicemail SET name = NULL WHERE id = (SELECT MAX(id) FROM voicemail)"),
    (Rule::MessageStored, "UPDATE voicemail SET state = 'failed' WHERE id = (SELECT MAX(id) FROM voicemail)"),
    // Who needs an entry has none, or one that does not exist, or one of another line or number.
    (
        Rule::HasCallback,
        "UPDATE call SET callback_id = NULL WHERE id = (SELECT MAX(id) FROM call WHERE callback_id IS NOT NULL)",
    ),
    (
        Rule::HasCallback,
        "UPDATE call SET callback_id = 1 WHERE id = (SELECT MAX(id) FROM call WHERE callback_id IS NOT NULL)",
    ),
    (Rule::HasCallback, "UPDATE callback SET line = 'unknown' WHERE id = (SELECT MAX(id) FROM callback)"),
    (
        Rule::HasCallback,
        "UPDATE callback SET caller = '+79280000999'
         WHERE id = (SELECT MAX(id) FROM callback WHERE caller IS NOT NULL)",
    ),
    // A second entry for a call that has one, and one entry for two callers without a number.
    (
        Rule::OneEntryForCall,
        "INSERT INTO callback (id, line, caller, channel, received_at, due_at, state, version, closed_at)
         SELECT 1, line, caller, channel, received_at, due_at, state, version, closed_at
         FROM callback WHERE id = (SELECT MAX(id) FROM callback WHERE closed_at IS NOT NULL)",
    ),
    (
        Rule::OneEntryForCall,
        "UPDATE callback SET caller = NULL, callback_number = NULL
         WHERE id = (SELECT callback_id FROM call WHERE callback_id IS NOT NULL
                     GROUP BY callback_id HAVING COUNT(*) > 1 LIMIT 1)",
    ),
    // Due later than promised, or at the end of a period that was promised to nobody.
    (Rule::DueInTime, "UPDATE callback SET due_at = due_at + 604800000 WHERE id = (SELECT MAX(id) FROM callback)"),
    (Rule::DueInTime, "UPDATE callback SET due_at = due_at - 1 WHERE id = (SELECT MAX(id) FROM callback)"),
    (Rule::NotPutAway, "UPDATE callback SET closed_at = 1 WHERE id = (SELECT MAX(id) FROM callback)"),
    // Whom an officer has talked with is in the entry of somebody else, or in his own one, which is open and does not
    // propose to close, or though the log does not know of the talk.
    (
        Rule::NobodyWithoutNeed,
        "UPDATE call SET callback_id = (SELECT MAX(id) FROM callback)
         WHERE id = (SELECT MAX(id) FROM call WHERE callback_id IS NULL AND outcome = 'answered')",
    ),
    (
        Rule::NobodyWithoutNeed,
        "UPDATE callback SET state = 'open', closed_at = NULL, proposed_call_id = NULL,
             line = (SELECT line FROM call WHERE outcome = 'answered' AND caller IS NOT NULL ORDER BY id DESC LIMIT 1),
             caller = (SELECT caller FROM call WHERE outcome = 'answered' AND caller IS NOT NULL ORDER BY id DESC LIMIT 1)
         WHERE id = (SELECT MAX(id) FROM callback);
         UPDATE call SET callback_id = (SELECT MAX(id) FROM callback)
         WHERE id = (SELECT MAX(id) FROM call WHERE outcome = 'answered' AND caller IS NOT NULL)",
    ),
    (
        Rule::NobodyWithoutNeed,
        "UPDATE callback SET
             line = (SELECT line FROM call WHERE outcome = 'answered' AND caller IS NOT NULL ORDER BY id DESC LIMIT 1),
             caller = (SELECT caller FROM call WHERE outcome = 'answered' AND caller IS NOT NULL ORDER BY id DESC LIMIT 1)
         WHERE id = (SELECT MAX(id) FROM callback WHERE closed_at IS NOT NULL);
         UPDATE call SET outcome = 'missed', callback_id = (SELECT MAX(id) FROM callback WHERE closed_at IS NOT NULL)
         WHERE id = (SELECT MAX(id) FROM call WHERE outcome = 'answered' AND caller IS NOT NULL)",
    ),
    // A number stands on the list twice.
    (
        Rule::ListedOnce,
        "UPDATE callback SET state = 'open', closed_at = NULL, line = 'staff', caller = '+79280000999', dial_number = NULL
         WHERE id IN (SELECT id FROM callback ORDER BY id LIMIT 2)",
    ),
    // Somebody waits in this period and stands on the list of another one, or the other way round.
    (
        Rule::ListOfThePeriod,
        "UPDATE callback SET state = 'open', closed_at = NULL, period_starts_at = 4000000000000
         WHERE id = (SELECT MAX(id) FROM callback)",
    ),
    (
        Rule::ListOfThePeriod,
        "UPDATE callback SET state = 'open', closed_at = NULL, due_at = 4000000000000
         WHERE id = (SELECT MAX(id) FROM callback)",
    ),
];
