"""Several runs beside each other; the claims over seeds."""
