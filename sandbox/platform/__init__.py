"""Cloud Run itself: services, revisions and their containers, the traffic, what is logged and measured of it."""
