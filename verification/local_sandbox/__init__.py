"""The sandbox as the suite reaches it: started or attached to, and known by its addresses alone."""
