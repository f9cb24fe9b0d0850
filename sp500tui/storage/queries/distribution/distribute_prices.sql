-- All prices of a symbol on one node. The rows that are there move along.
SELECT create_distributed_table('public.prices', 'symbol')
