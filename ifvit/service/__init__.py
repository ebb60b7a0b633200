"""The package as a service: a page to look at, and the same by HTTP and JSON."""
