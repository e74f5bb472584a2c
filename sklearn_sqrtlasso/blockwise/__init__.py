"""Operations on many rows: blocks, groups, threads, and linear algebra of rows."""
