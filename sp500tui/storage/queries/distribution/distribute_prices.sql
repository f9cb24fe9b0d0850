-- Shard by symbol: all prices of a symbol on one node. Existing rows are moved.
SELECT create_distributed_table('public.prices', 'symbol')
