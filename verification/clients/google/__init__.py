"""Google Cloud: Cloud Run, Cloud Monitoring and Cloud Logging."""
