-- The agreement between the mover and whoever writes a company's rows:
--
-- 1. An append locks the company's row of ledger_heads and refuses with LW001 where `here` is false. The mover sets it
--    under the same lock, so every append is either before the fence and copied, or refused and retried elsewhere.
-- 2. Creations (an append that finds no head row) and writes that append nothing call assert_company_here first.
-- 3. Rows of a company lie in tables whose primary key begins with company_id: those are what a move copies, whole.

-- The lease of the mover that may write the company's rows here while it is not here (before it arrives, and when its
-- rows are deleted after it has left).
alter table company_places add column mover bigint;
