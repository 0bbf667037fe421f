-- What operators see of a move and a rebalance while they run, and a rebalance that waits for its operator.

-- Rows of the company when the copying began: what rows_copied is measured against. Null before.
alter table company_moves add column rows_expected bigint;
alter table rebalances add column paused boolean not null default false;
