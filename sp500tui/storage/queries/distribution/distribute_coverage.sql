-- Co-located with the prices of the same symbol.
SELECT create_distributed_table('public.coverage', 'symbol', colocate_with => 'public.prices')
