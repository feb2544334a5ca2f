"""Credits: the books, and the allowance that fills them."""
