-- Co-located with the prices of the same symbol.
SELECT create_distributed_table('public.known_symbols', 'symbol', colocate_with => 'public.prices')
