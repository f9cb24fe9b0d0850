-- Symbols next to their prices.
SELECT create_distributed_table('public.known_symbols', 'symbol', colocate_with => 'public.prices')
