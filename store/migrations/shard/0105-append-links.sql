-- The chain with the link before it: what `lag` over the finished chain gave, without a second window over rows as wide
-- as these: about a tenth of a large append.

-- state: the leaf before and this one, 32 bytes each. Before the first record there is none: `initial` is its previous.
create function ledger_links_step(state bytea, initial bytea, head text, tail text) returns bytea
language plpgsql immutable parallel safe as $$
declare
  previous bytea := coalesce(substr(state, 33), initial);
begin
  return previous || sha256('\x00'::bytea || convert_to(head || encode(previous, 'base64') || tail, 'UTF8'));
end $$;

create aggregate ledger_links(bytea, text, text) (sfunc = ledger_links_step, stype = bytea);

-- Appends one or more items (each of them all or nothing) to one ledger, in one round trip: locks the head, checks
-- expected versions and idempotency keys, assigns positions, versions and the time, hashes, inserts, tells the feed.
--
-- Locks: the head's row until the transaction ends, so it MUST be the transaction's last statement. MUST run under read
-- committed (the default): what it reads after the lock has to include the previous holder's commit.
-- Indexes: the primary keys, ledger_records_stream (once a distinct stream), ledger_records_key (once a key).
--
-- Lists of texts are joined by line feeds, which no canonical JSON and no checked field contains: far cheaper to send than
-- arrays. '' in keys, data, subjects and known means none. Hashes and salts are 32 bytes each, joined. `known` is the
-- position at which the caller has found this key with this content, for contents that cannot be compared here.
--
-- status: 'absent' (no such ledger, and p_create is false), 'rekey' (a subject's key is no longer the one given), 'schemas'
-- (other schemas hold than p_schemas says; null does not ask), 'done'. outcomes, one an item: 'appended'; 'conflict' with
-- the number of the expectation and the actual version; 'key' when a key was used for other content, with the record's
-- number; 'compare' when the caller has to compare and call again, with the record's number. Numbers start at 1 and
-- run over all items. duplicates: the position of the record that has this key already, else null; its item's other records
-- are appended. versions and leaves are those of the appended records in order, from `first` on.
create or replace function ledger_append(
  p_company text, p_deployment text, p_now text, p_create boolean, p_schemas bigint,
  p_counts integer[],
  p_kinds text, p_sources text, p_streams text, p_keys text, p_before_time text, p_before_version text,
  p_data text, p_packed bytea[], p_salts bytea, p_commitments bytea,
  p_private bytea[], p_subjects text, p_subject_keys text, p_private_commitments bytea, p_known text,
  p_expect_items integer[], p_expect_streams text, p_expect_versions bigint[]
) returns table (
  status text, first bigint, previous bytea, at text, outcomes text[], details bigint[], actuals bigint[],
  duplicates bigint[], versions bigint[], leaves bytea
)
language plpgsql as $$
declare
  zero constant bytea := decode(repeat('00', 32), 'hex');
  head ledger_heads;
  entry_start text;
  streams text[] := string_to_array(p_streams, E'\n');
  -- By record: whether it is appended, and the batch it belongs to. Null: all, as one batch each item.
  taken boolean[];
  batch_starts bigint[];
  stream_names text[];
  stream_versions bigint[];
  record_streams integer[];
  expect_streams integer[];
  keys text[] := string_to_array(p_keys, E'\n', '');
  same boolean[];
  wanted integer;
  conflict text;
  fresh integer;
  next_record integer := 1;
  next_expect integer := 1;
  next_position bigint;
begin
  select * into head from ledger_heads h where h.company_id = p_company for update;
  if not found then
    if not p_create then
      status := 'absent';
      return next;
      return;
    end if;
    insert into ledger_heads (company_id) values (p_company) on conflict do nothing;
    select * into head from ledger_heads h where h.company_id = p_company for update;
  end if;
  if not head.here then
    raise exception 'stale epoch' using errcode = 'LW001';
  end if;
  if p_schemas <> head.schemas then
    status := 'schemas';
    return next;
    return;
  end if;
  if p_subjects is not null and exists (
    select from unnest(string_to_array(p_subjects, E'\n', ''), string_to_array(p_subject_keys, E'\n', '')) s (subject, key)
    where s.subject is not null and not exists (
      select from ledger_subjects k
      where k.company_id = p_company and k.subject = s.subject and k.key_id = s.key::uuid
    )
  ) then
    status := 'rekey';
    return next;
    return;
  end if;
  status := 'done';
  first := head.size;
  previous := head.leaf;
  at := greatest(head.recorded_at, p_now);
  next_position := head.size;

  if p_expect_items is not null or p_keys is not null then
    -- Streams by number, so that the loop below only indexes arrays.
    select array_agg(s.name), array_agg(coalesce((
        select r.version from ledger_records r
        where r.company_id = p_company and r.stream = s.name order by r.version desc limit 1
      ), 0))
      into stream_names, stream_versions
      from (select unnest(streams) union select unnest(string_to_array(p_expect_streams, E'\n'))) s (name);
    select array_agg(array_position(stream_names, s.name) order by s.number) into record_streams
      from unnest(streams) with ordinality s (name, number);
    select array_agg(array_position(stream_names, s.name) order by s.number) into expect_streams
      from unnest(string_to_array(p_expect_streams, E'\n')) with ordinality s (name, number);

    if p_keys is not null then
      select array_agg(r.position order by n.number),
        array_agg(
          case
            when r.position is null then null
            when r.header is distinct from
              n.before_time || r.recorded_at || n.before_version || r.version || '}' then false
            when n.known is not null then case when n.known::bigint = r.position then true end
            when n.data is null or n.subject is not null or r.private_commitment is not null then null
            when r.salt is null then true
            else sha256(r.salt || convert_to(n.data, 'UTF8')) = r.data_commitment
          end order by n.number
        )
        into duplicates, same
        from unnest(
          streams, keys, string_to_array(p_before_time, E'\n'),
          string_to_array(p_before_version, E'\n'), string_to_array(p_data, E'\n', ''),
          string_to_array(p_subjects, E'\n', ''), string_to_array(p_known, E'\n', '')
        ) with ordinality n (stream, key, before_time, before_version, data, subject, known, number)
        left join ledger_records r on r.company_id = p_company and r.key = n.key;
    end if;

    -- Filled first: an array assigned to at 4 alone would begin at 4.
    details := array_fill(null::bigint, array[cardinality(p_counts)]);
    actuals := details;
    for item in 1 .. cardinality(p_counts) loop
      wanted := p_counts[item];
      fresh := wanted;
      conflict := null;
      if duplicates is not null then
        for i in next_record .. next_record + wanted - 1 loop
          if duplicates[i] is not null then
            fresh := fresh - 1;
            if same[i] is not true then
              conflict := case when same[i] is null then 'compare' else 'key' end;
              details[item] := i;
              exit;
            end if;
          end if;
        end loop;
        -- Which of the unkeyed ones were appended with the keyed ones is for the caller to find out.
        if conflict is null and fresh < wanted then
          for i in next_record .. next_record + wanted - 1 loop
            if keys[i] is null then
              conflict := 'compare';
              details[item] := i;
              exit;
            end if;
          end loop;
        end if;
      end if;
      if conflict is null and fresh > 0 and p_expect_items is not null then
        while p_expect_items[next_expect] < item loop
          next_expect := next_expect + 1;
        end loop;
        while p_expect_items[next_expect] = item loop
          if stream_versions[expect_streams[next_expect]] <> p_expect_versions[next_expect] then
            conflict := 'conflict';
            details[item] := next_expect;
            actuals[item] := stream_versions[expect_streams[next_expect]];
            exit;
          end if;
          next_expect := next_expect + 1;
        end loop;
      end if;
      outcomes[item] := coalesce(conflict, 'appended');
      for i in next_record .. next_record + wanted - 1 loop
        taken[i] := conflict is null and (duplicates is null or duplicates[i] is null);
        batch_starts[i] := next_position;
        if taken[i] then
          stream_versions[record_streams[i]] := stream_versions[record_streams[i]] + 1;
        end if;
      end loop;
      if conflict is null then
        next_position := next_position + fresh;
      end if;
      next_record := next_record + wanted;
    end loop;
  else
    outcomes := array_fill('appended'::text, array[cardinality(p_counts)]);
    if cardinality(p_counts) > 1 then
      select array_agg(head.size + i.before) into batch_starts
        from (select c.n, sum(c.n) over (order by c.item) - c.n as before
          from unnest(p_counts) with ordinality c (n, item)) i, generate_series(1, i.n);
    end if;
    next_position := head.size + cardinality(streams);
  end if;

  if next_position > head.size then
    entry_start := E'ledgerway-entry/v1\n' || p_deployment || '/' || p_company || E'\n';
    with given as (
      select * from unnest(
        string_to_array(p_kinds, E'\n'), string_to_array(p_sources, E'\n'), streams, keys,
        string_to_array(p_before_time, E'\n'), string_to_array(p_before_version, E'\n'),
        string_to_array(p_data, E'\n', ''), p_packed, p_private, string_to_array(p_subjects, E'\n', ''), batch_starts
      ) with ordinality g (
        kind, source, stream, key, before_time, before_version, data, packed, private, subject, batch_start, number
      )
      where taken is null or taken[g.number]
    ),
    -- Materialized, or the lookup runs once a record instead of once a stream.
    bases as materialized (
      select s.stream, coalesce((
        select r.version from ledger_records r
        where r.company_id = p_company and r.stream = s.stream order by r.version desc limit 1
      ), 0) as version
      from (select distinct stream from given) s
    ),
    numbered as (
      select g.*, head.size - 1 + row_number() over (order by g.number) as position,
        b.version + row_number() over (partition by g.stream order by g.number) as version,
        substr(p_salts, (g.number * 32 - 31)::integer, 32) as salt,
        substr(p_commitments, (g.number * 32 - 31)::integer, 32) as commitment,
        case when g.subject is not null
          then substr(p_private_commitments, (g.number * 32 - 31)::integer, 32) end as private_commitment
      from given g join bases b on b.stream = g.stream
    ),
    headed as (
      select n.*, n.before_time || at || n.before_version || n.version || '}' as header from numbered n
    ),
    chained as (
      select h.*, ledger_links(
        head.leaf, entry_start || h.position || E'\n',
        E'\n' || encode(sha256(convert_to(h.header, 'UTF8')), 'base64') || E'\n' || encode(h.commitment, 'base64')
          || E'\n' || encode(coalesce(h.private_commitment, zero), 'base64') || E'\n'
      ) over (order by h.position rows unbounded preceding) as link
      from headed h
    ),
    inserted as (
      insert into ledger_records (
        company_id, position, batch_id, kind, source, stream, version, recorded_at, key, header, data, packed, salt,
        data_commitment, private, private_subject, private_commitment, leaf, previous_leaf
      )
      select p_company, c.position, coalesce(c.batch_start, head.size), c.kind, c.source, c.stream, c.version, at, c.key,
        c.header, c.data, c.packed, c.salt, c.commitment, c.private, c.subject, c.private_commitment,
        substr(c.link, 33), substr(c.link, 1, 32)
      from chained c
      returning ledger_records.position as position, ledger_records.version as version, ledger_records.leaf as leaf
    )
    select array_agg(i.version order by i.position), string_agg(i.leaf, ''::bytea order by i.position)
      into versions, leaves from inserted i;

    update ledger_heads h
      set size = next_position, leaf = substr(leaves, octet_length(leaves) - 31), recorded_at = at
      where h.company_id = p_company;
    insert into feed_dirty (company_id) values (p_company);
  end if;
  return next;
end $$;

drop aggregate ledger_chain(bytea, text, text);
drop function ledger_chain_step(bytea, bytea, text, text);
