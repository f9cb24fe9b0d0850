-- The numbers of rows of the history tables, which stay small.
SELECT (SELECT count(*) FROM public.sessions),
       (SELECT count(*) FROM public.coverage),
       (SELECT count(*) FROM public.corporate_actions),
       (SELECT count(*) FROM public.memberships)
