-- Both search in the order that positions, times and versions share, so they read a logarithm of the ledger.

-- How many records were there at a time: those recorded at it or before. Index: the records' primary key.
create function ledger_size_at(p_company text, p_time text) returns bigint
language plpgsql stable as $$
declare
  low bigint := 0;
  high bigint := coalesce((select size from ledger_heads where company_id = p_company), 0);
  middle bigint;
begin
  while low < high loop
    middle := (low + high) / 2;
    if (select recorded_at from ledger_records where company_id = p_company and position = middle) <= p_time then
      low := middle + 1;
    else
      high := middle;
    end if;
  end loop;
  return low;
end $$;

-- A stream's version when the ledger had so many records; 0 where it did not exist. Index: ledger_records_stream.
create function ledger_version_at(p_company text, p_stream text, p_size bigint) returns bigint
language plpgsql stable as $$
declare
  low bigint := 0;
  high bigint := 0;
  last_position bigint;
  middle bigint;
begin
  select version, position into high, last_position from ledger_records
    where company_id = p_company and stream = p_stream order by version desc limit 1;
  if high is null or last_position < p_size then
    return coalesce(high, 0);
  end if;
  high := high - 1;
  while low < high loop
    middle := (low + high + 1) / 2;
    if (select position from ledger_records
      where company_id = p_company and stream = p_stream and version = middle) < p_size then
      low := middle;
    else
      high := middle - 1;
    end if;
  end loop;
  return low;
end $$;
