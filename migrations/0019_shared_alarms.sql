-- Many messages behind one wrong password are one thing to mend: jobs that wait for one cause share an alarm.

ALTER TABLE job ADD COLUMN alarm_subject TEXT;          -- subject of the alarm that tells why this job waits; NULL: none does
