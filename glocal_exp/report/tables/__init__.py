"""One file a table; configs/table names them."""
