-- Co-located with the prices of the same symbol.
SELECT create_distributed_table('public.corporate_actions', 'symbol', colocate_with => 'public.prices')
