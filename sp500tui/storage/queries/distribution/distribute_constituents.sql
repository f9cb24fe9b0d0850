-- Co-located with the prices of the same symbol, so that a join by symbol stays on one node.
SELECT create_distributed_table('public.constituents', 'symbol', colocate_with => 'public.prices')
