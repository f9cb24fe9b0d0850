-- Blocks writes until the end of the transaction, but not reads. A price is inserted by way of this table, so that its
-- chunks need no lock: one could be held for minutes, by a vacuum or a compression, and with it every writer.
LOCK TABLE ONLY public.prices IN SHARE ROW EXCLUSIVE MODE
