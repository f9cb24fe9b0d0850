-- A market may have several sessions of one kind on a date: before and after a lunch break, or days of a demo market that
-- pass faster.
ALTER TABLE public.sessions
    DROP CONSTRAINT sessions_pkey,
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (market, kind, start_time);
