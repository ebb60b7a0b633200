"""The package as a service: a page for people, and the same functions by HTTP and JSON."""
