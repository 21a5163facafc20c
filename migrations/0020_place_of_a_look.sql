-- A look through a provider's lists says where it goes on in columns of their own. Versions before this one wrote the
-- number of pages and the mark into next_list, behind the name of the list: such a look begins anew.

ALTER TABLE reconciliation ADD COLUMN next_pages BIGINT;        -- pages of next_list that the look has read; NULL: none
ALTER TABLE reconciliation ADD COLUMN incomplete_since BIGINT;  -- when the look left the list of calls, which has no end; NULL: it did not
