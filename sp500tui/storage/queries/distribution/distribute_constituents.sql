-- The companies beside their prices, so that a join by symbol stays on a node.
SELECT create_distributed_table('public.constituents', 'symbol', colocate_with => 'public.prices')
