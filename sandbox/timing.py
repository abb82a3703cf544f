"""The sandbox's rates and delays: users' requests, metric samples, ingest, the wait for an instance."""

LARGEST_RPM = 6000  # what one process can send to itself
SAMPLE_PERIOD = 1.0  # of Cloud Monitoring, in seconds; Google's is 60, and its metric descriptors say what it is
INGEST_DELAY = 0.5  # of Cloud Monitoring and Cloud Logging, in seconds; Google's is up to 180
QUEUED = 0.3  # that a request waits for an instance before it is refused, in seconds; Google's is 10 and more
