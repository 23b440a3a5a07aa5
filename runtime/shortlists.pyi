"""Long lists of statements, cut down to what one class of resources leaves of them."""
