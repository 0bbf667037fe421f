-- Pages of relationships in descending order: ties go the same way as the rest, so that a cursor is one place in the
-- index and the next page begins there. Before, a page behind a cursor read all edges with the cursor's own rating.
create index relationships_newest on relationships (company_id, updated_at desc, relationship_id desc);
create index relationships_best_rated on relationships (company_id, (coalesce(rating, -11)) desc, relationship_id desc);
drop index relationships_by_change;
drop index relationships_by_rating;
