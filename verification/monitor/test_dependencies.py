"""What the service depends on (checklist: "Check MongoDB performance", "Check external service latency")."""

import pytest

pytestmark = [pytest.mark.monitor, pytest.mark.needs("monitor")]


@pytest.mark.needs("health.deep")
@pytest.mark.needs("limits.mongodb_latency")
def test_mongodb_latency(watch, limits):
    """MongoDB answers within 100 ms."""
    watch.latency_of("mongodb").must_stay_below(limits.mongodb_latency)


@pytest.mark.needs("cloud_run")
def test_no_database_connection_errors(watch):
    """The connection to the database holds."""
    watch.database_errors.must_be_none()


@pytest.mark.needs("health.deep")
@pytest.mark.needs("limits.openai_latency")
def test_openai_latency(watch, limits):
    """OpenAI answers within 2 s."""
    watch.latency_of("openai").must_stay_below(limits.openai_latency)


@pytest.mark.needs("health.deep")
@pytest.mark.needs("limits.elevenlabs_latency")
def test_elevenlabs_latency(watch, limits):
    """ElevenLabs answers within 2 s."""
    watch.latency_of("elevenlabs").must_stay_below(limits.elevenlabs_latency)


@pytest.mark.needs("health.deep")
@pytest.mark.needs("limits.pinecone_latency")
def test_pinecone_latency(watch, limits):
    """Pinecone answers within 1 s."""
    watch.latency_of("pinecone").must_stay_below(limits.pinecone_latency)
