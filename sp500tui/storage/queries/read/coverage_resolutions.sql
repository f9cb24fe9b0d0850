-- The resolutions whose coverage is known, most recently checked first.
SELECT resolution, max(checked_at) AS checked_at
FROM public.coverage
GROUP BY resolution
ORDER BY checked_at DESC, resolution
