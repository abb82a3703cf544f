"""Google's APIs over that platform, as their clients speak them: Cloud Run, Cloud Logging, Cloud Monitoring."""
