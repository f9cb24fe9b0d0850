-- The columns of the relations in the schema public with one of these names: NULL for one without columns.
SELECT relname::text, attname::text
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace AND nspname = 'public'
LEFT JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
WHERE relname::text = ANY (%s::text[])
