"""Several methods side by side: statistics, tables, plots and the report."""
